/** Starts the `baton` command as `baton dev` starts its worker, tells its pid when it is ready, and waits to be killed. */
import { fork } from "node:child_process";
import path from "node:path";

const program = path.resolve(import.meta.dirname, "../src/cli/baton.ts");
const child = fork(program, process.argv.slice(2), { detached: true, stdio: "ignore" });
child.on("message", () => process.send?.(child.pid));
