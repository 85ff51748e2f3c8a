/** What every system under measurement can do, Baton and its peers alike. */

/** An input. Every system takes a JSON object. */
export interface JobInput {
  /** Number of the job, where somebody asks when it started. */
  readonly n?: number;
  /** Ballast. */
  readonly pad?: string;
  /** Number of queue and task, for systems that are given many of them. */
  readonly lane?: number;
}

/**
 * What a job does. A throw is a failed attempt.
 *
 * @param attempt from 1
 */
export type Handler = (input: JobInput, attempt: number) => void;

/** Submits jobs. Each call ends when the jobs are as durable as the system makes them. */
export interface Client {
  submit(input: JobInput): Promise<void>;
  submitMany(inputs: readonly JobInput[]): Promise<void>;
  close(): Promise<void>;
}

/** Runs jobs. */
export interface JobWorker {
  /** Stops when the jobs under way are done. */
  stop(): Promise<void>;
}

/** One system with what it needs, running on this machine with nothing in it. Disposing of it stops and clears it. */
export interface Site extends AsyncDisposable {
  /** How its clients and workers reach it. */
  readonly target: string;
  /** Baton's: HTTP at `http://host:port`, and its database. */
  readonly baton?: { readonly origin: string; readonly databaseUrl: string };
  /** Its own server and its database, where they are processes. */
  readonly pids: { readonly server?: number; readonly database: number };
  /** Jobs that are not durably finished. */
  unfinished(): Promise<number>;
}

export interface System {
  /** For the command line. */
  readonly name: string;
  /** For tables. */
  readonly title: string;
  /** npm package whose version is told. */
  readonly packageName: string;
  /** What survives a power failure. */
  readonly durability: string;
  /** How many jobs a call of a load generator submits, and how many calls are under way. */
  readonly bulk: { readonly jobsPerCall: number; readonly callsAtOnce: number };
  /** Its part of the jobs that a measurement asks for: a slow system shows its speed with fewer. */
  readonly jobsShare: number;
  start(house: House): Promise<Site>;
  openClient(target: string): Promise<Client>;
  /** Begins to run jobs. */
  openWorker(target: string, handler: Handler, options: WorkerOptions): Promise<JobWorker>;
}

export interface WorkerOptions {
  /** Serve so many queues and tasks. @default 1 of each */
  readonly queues?: number;
  readonly tasks?: number;
}

/** What systems run on. */
export interface House {
  /** A connection string for a new, empty database. */
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  /** Process of the one PostgreSQL that all share. */
  readonly postgresPid: number;
  /** A new directory that every account can pass. */
  createDirectory(name: string): Promise<string>;
}
