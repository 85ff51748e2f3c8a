import type { Operations } from "../operations.ts";
import type { LongRequests } from "../long-requests.ts";

/** What the route files of one app share. */
export interface RouteOptions {
  readonly operations: Operations;
  readonly longRequests: LongRequests;
  readonly heartbeatMs: number;
  readonly stallMsMax: number;
}
