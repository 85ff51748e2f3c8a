/**
 * Holds the PostgreSQL of a test run: starts it, tells its parent how to reach it, and stops it when the parent asks or
 * is gone. A process of its own in a session of its own, so that neither Ctrl-C nor `kill -9` of the whole run leaves a
 * PostgreSQL behind.
 */
import { onParentExit } from "../packages/server/src/cli/parent.ts";
import { startTestPostgres } from "../packages/server/test/run-postgres.ts";

const gone = Promise.withResolvers<void>();
onParentExit(gone.resolve);
const postgres = await startTestPostgres();
process.send?.(postgres.environment);
process.channel?.ref();
await gone.promise;
await postgres.stop();
