/**
 * The settings of the embedded PostgreSQL: a queue on one machine, beside other programs, that must lose nothing and
 * be back within seconds after a crash.
 */
interface Setting {
  readonly value: string;
  readonly why: string;
}

/**
 * Written to `baton.conf` in the data directory, beside PostgreSQL's own files, at each start. What the user sets in `postgresql.conf` below the
 * include line, or by `alter system`, wins. Durability (`fsync`, `synchronous_commit`, `full_page_writes`) stays as
 * PostgreSQL has it: on.
 */
const SETTINGS: Readonly<Record<string, Setting>> = {
  listen_addresses: {
    value: "''",
    why: "Only the unix socket: no port to collide with, nothing to reach from outside.",
  },
  max_connections: {
    value: "100",
    why: "Baton uses a small pool; the rest is for psql, backups and tests.",
  },
  shared_buffers: {
    value: "'256MB'",
    why: "Live jobs and their indexes fit; a laptop keeps its memory.",
  },
  wal_level: {
    value: "minimal",
    why: "Nothing replicates from here, and an idle server then writes nothing. pg_dump works; pg_basebackup needs replica.",
  },
  max_wal_senders: { value: "0", why: "wal_level minimal demands it." },
  max_wal_size: {
    value: "'1GB'",
    why: "Bounds what is replayed after a crash. 135 MB/s were measured on 2 cores, so 8 s at worst.",
  },
  checkpoint_timeout: {
    value: "'2min'",
    why: "The same bound for a steady load: 1,000 jobs/s write some 150 MB in 2 minutes, replayed in about a second.",
  },
  wal_compression: {
    value: "off",
    why: "This build has pglz only, which makes copying a database 2.5 times slower and gains a queue nothing but disk.",
  },
  random_page_cost: {
    value: "1.1",
    why: "Solid state disks; the default is made for spinning ones.",
  },
  max_parallel_workers_per_gather: {
    value: "0",
    why: "Short statements gain nothing from it, and containers often have a tiny /dev/shm, which it needs.",
  },
  jit: { value: "off", why: "Compiling costs more than any of our statements takes." },
  autovacuum_naptime: {
    value: "'30s'",
    why: "Tables of history grow in minutes to what took statistics days before. The table of live jobs Baton vacuums itself.",
  },
  autovacuum_vacuum_cost_limit: {
    value: "2000",
    why: "The default is throttled to a few MB/s and falls behind the history of a busy queue.",
  },
  idle_in_transaction_session_timeout: {
    value: "'60s'",
    why: "A forgotten transaction holds row locks and stops vacuum. Baton's own last milliseconds.",
  },
  client_connection_check_interval: {
    value: "'2s'",
    why: "A statement whose Baton was killed ends soon, and so do its locks.",
  },
  logging_collector: {
    value: "off",
    why: "PostgreSQL logs to the file that Baton opens for it, and Baton bounds its size.",
  },
  log_checkpoints: { value: "off", why: "A line every five minutes that says nothing is wrong." },
  log_line_prefix: { value: "'%m [%p] %a '", why: "Time, process and application name." },
  log_timezone: { value: "'UTC'", why: "The same clock as Baton's own log." },
  timezone: { value: "'UTC'", why: "The same on every machine." },
  cluster_name: { value: "'baton'", why: "Shows in ps." },
};

/** The text of `baton.conf`: every setting with its reason. */
export function settingsFile(): string {
  const lines = Object.entries(SETTINGS).map(
    ([name, { value, why }]) => `# ${why}\n${name} = ${value}\n`,
  );
  return [
    "# Written by Baton at each start: changes made here are lost.",
    "# Put your own settings below the include line in postgres/postgresql.conf.",
    "",
    ...lines,
  ].join("\n");
}
