/** This server's own lease: a row that it renews. Whoever finds it not renewed declares the server dead. */
import { isConnectionError, type Database } from "../store/db.ts";
import { serverRenew, serverStart, serverStop } from "../store/server.ts";

export interface ServerIdentity {
  readonly name: string;
  readonly version: string;
}

export class ServerLease {
  readonly #db: Database;
  readonly #identity: ServerIdentity;
  readonly #now: () => number;
  #id: number;
  #renewedAtMs: number;
  #otherCount = 0;

  /** Books the start of this server. */
  static async take(
    db: Database,
    identity: ServerIdentity,
    now: () => number,
  ): Promise<ServerLease> {
    const sentAtMs = now();
    const id = await serverStart(db, identity.name, identity.version);
    return new ServerLease(db, identity, now, id, sentAtMs);
  }

  private constructor(
    db: Database,
    identity: ServerIdentity,
    now: () => number,
    id: number,
    renewedAtMs: number,
  ) {
    this.#db = db;
    this.#identity = identity;
    this.#now = now;
    this.#id = id;
    this.#renewedAtMs = renewedAtMs;
  }

  /** Another one after each time it was lost. */
  get id(): number {
    return this.#id;
  }

  /** Milliseconds since the last renewal that is known to have succeeded was sent. */
  get renewedAgoMs(): number {
    return this.#now() - this.#renewedAtMs;
  }

  get hasOthers(): boolean {
    return this.#otherCount > 0;
  }

  /** Renews it. @returns false when this server was declared dead */
  async renew(): Promise<boolean> {
    const sentAtMs = this.#now();
    const [row] = await serverRenew(this.#db, this.#id);
    if (row === undefined) return false;
    this.#renewedAtMs = sentAtMs;
    this.#otherCount = row.other_count;
    return true;
  }

  /** Books a new start after the lease was lost. */
  async retake(): Promise<void> {
    const sentAtMs = this.#now();
    this.#id = await serverStart(this.#db, this.#identity.name, this.#identity.version);
    this.#renewedAtMs = sentAtMs;
  }

  /** Books the end of this server: its workers' leases run from now. With its database away it just ends by itself. */
  async giveUp(): Promise<void> {
    await serverStop(this.#db, this.#id).catch((error: unknown) => {
      if (!isConnectionError(error)) throw error;
    });
  }
}
