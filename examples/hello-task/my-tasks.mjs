/**
 * The same in plain JavaScript, and without a schema. Run it with
 *
 *     npm run baton -- worker --tasks ./examples/hello-task/my-tasks.mjs
 *     npm run baton -- submit hello_js '{"name":"Ada"}' --wait
 */
import { Fatal, task } from "@baton/sdk";

export default [
  task({
    name: "hello_js",
    description: "Greets somebody.",
    run(input, ctx) {
      if (typeof input?.name !== "string")
        throw new Fatal('Expected an input such as {"name":"Ada"}.');
      ctx.log.info("greeting", { name: input.name });
      return { greeting: `Hello, ${input.name}!` };
    },
  }),
];
