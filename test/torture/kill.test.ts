/**
 * kill -9 of the server, the workers and the embedded PostgreSQL, each and together, under load.
 *
 * BATON_TORTURE_ROUNDS  rounds, one kill each (default 20)
 * BATON_TORTURE_RATE    jobs a second (default 1,000)
 * BATON_TORTURE_SEED    repeats the plan of a run (default: another one each time)
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";

import { aStage } from "../stage.ts";
import { checkHistory, RULES } from "./history.ts";
import { ordealText } from "./ordeal-text.ts";
import { playOrdeal } from "./ordeal.ts";

const RESUME_MS_MAX = 10_000;
/** Where a disk takes longer than that to bring PostgreSQL up, work resumes with the server. */
const ADOPTION_MS_MAX = 1_000;
/** Of breaches of one rule. */
const SHOWN_MAX = 10;

const ordeal = {
  seed: Number(process.env["BATON_TORTURE_SEED"] ?? randomInt(2 ** 31)),
  roundCount: Number(process.env["BATON_TORTURE_ROUNDS"] ?? 20),
  ratePerSecond: Number(process.env["BATON_TORTURE_RATE"] ?? 1_000),
  workerCount: 2,
};

test(`kill -9 of everything, ${ordeal.roundCount} times, at ${ordeal.ratePerSecond} jobs/s`, async (t) => {
  console.log(`BATON_TORTURE_SEED=${ordeal.seed} repeats the plan of this run.`);
  const report = await playOrdeal(aStage(t), ordeal);
  const { rounds, failures } = report;
  const violations = checkHistory(report.history);
  console.log(ordealText(report));

  for (const rule of RULES) {
    await t.test(rule, () => {
      const breaches = violations.filter((violation) => violation.rule === rule);

      assert.deepEqual(breaches.slice(0, SHOWN_MAX), []);
    });
  }

  await t.test(
    "what was submitted while something was away failed with a code that says so",
    () => {
      assert.deepEqual(
        [...failures.keys()].filter((code) => !AWAY_CODES.has(code)),
        [],
      );
    },
  );

  await t.test("running work resumes within 10 s of the restart", () => {
    assert.deepEqual(
      rounds.filter(({ resumeMs = Infinity, serverStartMs = 0 }) => {
        return resumeMs > Math.max(RESUME_MS_MAX, serverStartMs + ADOPTION_MS_MAX);
      }),
      [],
    );
  });

  await t.test(
    "healthy attempts are not run again when only the server was lost and came back in time",
    () => {
      assert.deepEqual(
        rounds.flatMap((round) => round.healthyButLost),
        [],
      );
    },
  );
});

const AWAY_CODES: ReadonlySet<string> = new Set([
  "connection_failed",
  "deadline_exceeded",
  "unavailable",
]);
