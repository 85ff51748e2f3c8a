-- The schema after all migrations, for reading and for reviews. Written by npm run schema:dump: do not edit.
-- Left out: partitions of single days, which are made at run time, and rows.

create schema baton;
-- Functions come before the tables that they use.
set check_function_bodies = off;

create type baton.job_state as enum ('waiting', 'scheduled', 'queued', 'running', 'succeeded', 'dead', 'cancelled');

create type baton.outcome as enum ('succeeded', 'retry', 'failed', 'snoozed', 'cancelled', 'timed_out', 'lost');

CREATE OR REPLACE FUNCTION baton.clock()
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$select now()$function$;

CREATE OR REPLACE FUNCTION baton.event_horizon()
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$select pg_snapshot_xmin(pg_current_snapshot())::text::bigint * 16$function$;

CREATE OR REPLACE FUNCTION baton.event_sequence(state baton.job_state)
 RETURNS bigint
 LANGUAGE sql
AS $function$select pg_current_xact_id()::text::bigint * 16 + array_position(enum_range(null::baton.job_state), state)$function$;

CREATE OR REPLACE FUNCTION baton.partition_drop(parent text, days_kept integer)
 RETURNS SETOF text
 LANGUAGE plpgsql
 SET lock_timeout TO '2s'
AS $function$
declare
  child text;
begin
  -- Two servers that drop the same day would be in each other's way.
  perform pg_advisory_xact_lock(hashtext('baton.partition_drop'));
  for child in
    select relation.relname
      from pg_inherits
      join pg_class relation on relation.oid = pg_inherits.inhrelid
     where pg_inherits.inhparent = format('baton.%I', parent)::regclass
       and relation.relname ~ '_[0-9]{8}$'
       and to_date(right(relation.relname, 8), 'YYYYMMDD') + 1 + days_kept
           <= (baton.clock() at time zone 'UTC')::date
     order by relation.relname
  loop
    if parent = 'event' then
      execute format(
        'update baton.event_floor set sequence = greatest(sequence, (select coalesce(max(sequence), 0) from baton.%I))',
        child);
    end if;
    execute format('drop table baton.%I', child);
    return next child;
  end loop;
end $function$;

CREATE OR REPLACE FUNCTION baton.partition_ensure(days_ahead integer)
 RETURNS void
 LANGUAGE plpgsql
 SET lock_timeout TO '2s'
AS $function$
declare
  parent      text;
  child       text;
  day         date;
  column_name text;
begin
  -- Two servers that start together would both find the day missing.
  perform pg_advisory_xact_lock(hashtext('baton.partition_ensure'));
  foreach parent in array array['job_ended', 'job_dead', 'attempt', 'log_line', 'event'] loop
    for day in select (baton.clock() at time zone 'UTC')::date + n from generate_series(0, days_ahead) as n loop
      child := parent || '_' || to_char(day, 'YYYYMMDD');
      if to_regclass(format('baton.%I', child)) is null then
        begin
          -- Statistics and vacuum each time it has doubled: rows come and never change. Vacuum at leisure, though twice
          -- as fast as it can grow: behind a long snapshot all that came meanwhile waits for it.
          execute format(
            'create table baton.%I partition of baton.%I for values from (%L) to (%L) '
            'with (autovacuum_analyze_scale_factor = 1, autovacuum_analyze_threshold = 10000, '
            'autovacuum_vacuum_insert_scale_factor = 1, '
            'autovacuum_vacuum_cost_delay = 2, autovacuum_vacuum_cost_limit = 100)',
            child, parent, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
          -- A partition does not take these over by itself.
          if (select relreplident = 'f' from pg_class where oid = format('baton.%I', parent)::regclass) then
            execute format('alter table baton.%I replica identity full', child);
          end if;
          for column_name in
            select attname from pg_attribute
             where attrelid = format('baton.%I', parent)::regclass and attnum > 0 and attstattarget = 0 and not attisdropped
          loop
            execute format('alter table baton.%I alter column %I set statistics 0', child, column_name);
          end loop;
        exception when check_violation then
          raise warning 'baton.% keeps its rows of % in its default partition', parent, day;
        end;
      end if;
    end loop;
  end loop;
end $function$;

create table baton.attempt (
  job_id uuid not null,
  leased_at timestamp with time zone not null,
  started_at timestamp with time zone,
  finished_at timestamp with time zone default baton.clock() not null,
  worker_id bigint not null,
  attempt integer not null,
  outcome baton.outcome not null,
  error json
) partition by range (finished_at);
CREATE INDEX attempt_job ON baton.attempt USING btree (job_id, attempt);
alter table baton.attempt alter column error set statistics 0;

create table baton.event (
  sequence bigint not null,
  at timestamp with time zone default baton.clock() not null,
  state baton.job_state not null,
  job_ids uuid[] not null,
  lane_ids integer[] not null,
  attempts integer[] not null
) partition by range (at);
alter table baton.event alter column job_ids set storage external;
alter table baton.event alter column lane_ids set storage external;
alter table baton.event alter column attempts set storage external;
CREATE INDEX event_sequence ON baton.event USING btree (sequence);
alter table baton.event alter column job_ids set statistics 0;
alter table baton.event alter column lane_ids set statistics 0;
alter table baton.event alter column attempts set statistics 0;

create table baton.event_floor (
  sequence bigint not null,
  is_only boolean default true not null,
  constraint event_floor_pkey PRIMARY KEY (is_only),
  constraint event_floor_is_only_check CHECK (is_only)
);

create table baton.idempotency (
  namespace_id integer not null,
  key text not null,
  fingerprint text not null,
  job_id uuid not null,
  expires_at timestamp with time zone not null,
  constraint idempotency_pkey PRIMARY KEY (namespace_id, key)
);
CREATE INDEX idempotency_expiring ON baton.idempotency USING btree (expires_at);

create table baton.job (
  id uuid not null,
  queue_position bigint generated by default as identity not null,
  created_at timestamp with time zone default baton.clock() not null,
  lane_id integer not null,
  attempt integer default 0 not null,
  max_attempts integer not null,
  failure_count integer default 0 not null,
  lost_count integer default 0 not null,
  state baton.job_state not null,
  priority smallint not null,
  is_in_line boolean not null,
  worker_id bigint,
  leased_at timestamp with time zone,
  input text not null,
  run_at timestamp with time zone,
  start_by timestamp with time zone,
  finish_by timestamp with time zone,
  cancel_requested_at timestamp with time zone,
  input_content_type text,
  unique_key text,
  cancel_reason text,
  tags text[],
  options jsonb,
  progress json,
  error json,
  constraint job_pkey PRIMARY KEY (id),
  constraint attempts_count_up CHECK (attempt >= 0 AND failure_count >= 0 AND lost_count >= 0),
  constraint leased_jobs_know_since_when CHECK ((worker_id IS NULL) = (leased_at IS NULL)),
  constraint live_jobs_only CHECK (state = ANY (ARRAY['waiting'::baton.job_state, 'scheduled'::baton.job_state, 'queued'::baton.job_state, 'running'::baton.job_state])),
  constraint queued_means_in_line CHECK (is_in_line OR state <> 'queued'::baton.job_state),
  constraint running_means_leased CHECK ((state = 'running'::baton.job_state) = (worker_id IS NOT NULL)),
  constraint scheduled_means_run_at CHECK ((state = 'scheduled'::baton.job_state) = (run_at IS NOT NULL))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0.0, autovacuum_vacuum_threshold=20000000, autovacuum_vacuum_cost_delay=2, autovacuum_vacuum_cost_limit=50, autovacuum_vacuum_insert_threshold=-1, autovacuum_analyze_scale_factor=0.0, autovacuum_analyze_threshold=100000);
CREATE INDEX job_due ON baton.job USING btree (run_at) WHERE (run_at IS NOT NULL);
CREATE INDEX job_expiring ON baton.job USING btree (LEAST(start_by, finish_by)) WHERE ((start_by IS NOT NULL) OR (finish_by IS NOT NULL));
CREATE INDEX job_ready ON baton.job USING btree (lane_id, ((- priority)), queue_position) WHERE is_in_line;
CREATE UNIQUE INDEX job_unique ON baton.job USING btree (unique_key) WHERE (unique_key IS NOT NULL);
alter table baton.job alter column id set statistics 10;
alter table baton.job alter column queue_position set statistics 10;
alter table baton.job alter column created_at set statistics 10;
alter table baton.job alter column lane_id set statistics 10;
alter table baton.job alter column attempt set statistics 10;
alter table baton.job alter column max_attempts set statistics 10;
alter table baton.job alter column failure_count set statistics 10;
alter table baton.job alter column lost_count set statistics 10;
alter table baton.job alter column state set statistics 10;
alter table baton.job alter column priority set statistics 10;
alter table baton.job alter column is_in_line set statistics 10;
alter table baton.job alter column worker_id set statistics 10;
alter table baton.job alter column leased_at set statistics 10;
alter table baton.job alter column input set statistics 0;
alter table baton.job alter column run_at set statistics 10;
alter table baton.job alter column start_by set statistics 10;
alter table baton.job alter column finish_by set statistics 10;
alter table baton.job alter column cancel_requested_at set statistics 10;
alter table baton.job alter column input_content_type set statistics 10;
alter table baton.job alter column unique_key set statistics 10;
alter table baton.job alter column cancel_reason set statistics 10;
alter table baton.job alter column tags set statistics 10;
alter table baton.job alter column options set statistics 0;
alter table baton.job alter column progress set statistics 0;
alter table baton.job alter column error set statistics 0;
alter index baton.job_expiring alter column 1 set statistics 10;
alter index baton.job_ready alter column 2 set statistics 10;

create table baton.job_finished (
  id uuid not null,
  created_at timestamp with time zone not null,
  finished_at timestamp with time zone default baton.clock() not null,
  lane_id integer not null,
  attempt integer not null,
  max_attempts integer not null,
  failure_count integer not null,
  lost_count integer not null,
  state baton.job_state not null,
  priority smallint not null,
  worker_id bigint,
  leased_at timestamp with time zone,
  started_at timestamp with time zone,
  outcome baton.outcome,
  input text not null,
  result text,
  finish_by timestamp with time zone,
  cancel_requested_at timestamp with time zone,
  input_content_type text,
  unique_key text,
  cancel_reason text,
  tags text[],
  options jsonb,
  progress json,
  error json,
  constraint finished_jobs_only CHECK (state = ANY (ARRAY['succeeded'::baton.job_state, 'dead'::baton.job_state, 'cancelled'::baton.job_state])),
  constraint only_success_has_result CHECK (result IS NULL OR state = 'succeeded'::baton.job_state)
) partition by list (state);
CREATE INDEX job_finished_id ON baton.job_finished USING btree (id);

create table baton.lane (
  id integer generated always as identity not null,
  namespace_id integer not null,
  queue text not null,
  task text not null,
  constraint lane_pkey PRIMARY KEY (id),
  constraint lane_namespace_id_queue_task_key UNIQUE (namespace_id, queue, task)
);

create table baton.lease_batch (
  worker_id bigint not null,
  created_at timestamp with time zone default baton.clock() not null,
  generation smallint default 0 not null,
  job_ids uuid[] not null
);
alter table baton.lease_batch alter column job_ids set storage external;
alter table baton.lease_batch replica identity full;
CREATE INDEX lease_batch_worker ON baton.lease_batch USING btree (worker_id);
alter table baton.lease_batch alter column job_ids set statistics 0;

create table baton.log_line (
  job_id uuid not null,
  at timestamp with time zone not null,
  stored_at timestamp with time zone default baton.clock() not null,
  number bigint generated always as identity not null,
  attempt integer not null,
  level text not null,
  message text not null,
  fields json,
  constraint levels_are_known CHECK (level = ANY (ARRAY['debug'::text, 'info'::text, 'warn'::text, 'error'::text]))
) partition by range (stored_at);
CREATE INDEX log_line_job ON baton.log_line USING btree (job_id, number);
alter table baton.log_line alter column message set statistics 0;
alter table baton.log_line alter column fields set statistics 0;

create table baton.migration (
  number integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone default now() not null,
  constraint migration_pkey PRIMARY KEY (number),
  constraint migration_name_key UNIQUE (name),
  constraint migration_number_check CHECK (number > 0)
);

create table baton.namespace (
  id integer generated always as identity not null,
  name text not null,
  constraint namespace_pkey PRIMARY KEY (id),
  constraint namespace_name_key UNIQUE (name)
);

create table baton.queue (
  namespace_id integer not null,
  name text not null,
  paused_at timestamp with time zone,
  pause_reason text,
  created_at timestamp with time zone default baton.clock() not null,
  constraint queue_pkey PRIMARY KEY (namespace_id, name),
  constraint only_paused_queues_have_a_reason CHECK (pause_reason IS NULL OR paused_at IS NOT NULL)
);

create table baton.server (
  id bigint generated always as identity not null,
  name text not null,
  version text not null,
  started_at timestamp with time zone default baton.clock() not null,
  renewed_at timestamp with time zone default baton.clock() not null,
  stopped_at timestamp with time zone,
  constraint server_pkey PRIMARY KEY (id)
);
CREATE INDEX server_alive ON baton.server USING btree (id) WHERE (stopped_at IS NULL);

create table baton.task (
  namespace_id integer not null,
  name text not null,
  definition json not null,
  updated_at timestamp with time zone default baton.clock() not null,
  constraint task_pkey PRIMARY KEY (namespace_id, name)
);

create table baton.worker (
  id bigint generated always as identity not null,
  instance uuid not null,
  server_id bigint not null,
  name text not null,
  host text not null,
  pid integer not null,
  sdk text not null,
  slots integer not null,
  tasks text[] not null,
  queues text[] not null,
  labels jsonb not null,
  lease_ms integer not null,
  is_draining boolean default false not null,
  connection integer default 1 not null,
  connected_at timestamp with time zone default baton.clock() not null,
  detached_at timestamp with time zone,
  gone_at timestamp with time zone,
  constraint worker_pkey PRIMARY KEY (id),
  constraint worker_instance_key UNIQUE (instance)
);
CREATE INDEX worker_gone ON baton.worker USING btree (gone_at) WHERE (gone_at IS NOT NULL);
CREATE INDEX worker_present ON baton.worker USING btree (server_id) WHERE (gone_at IS NULL);

create table baton.attempt_default partition of baton.attempt DEFAULT;

create table baton.event_default partition of baton.event DEFAULT;

create table baton.job_dead partition of baton.job_finished FOR VALUES IN ('dead') partition by range (finished_at);
alter table baton.job_dead replica identity full;
CREATE INDEX job_dead_unique ON baton.job_dead USING btree (unique_key, id) WHERE (unique_key IS NOT NULL);
alter table baton.job_dead alter column input set statistics 0;
alter table baton.job_dead alter column options set statistics 0;
alter table baton.job_dead alter column progress set statistics 0;
alter table baton.job_dead alter column error set statistics 0;

create table baton.job_ended partition of baton.job_finished FOR VALUES IN ('succeeded', 'cancelled') partition by range (finished_at);
alter table baton.job_ended alter column input set statistics 0;
alter table baton.job_ended alter column result set statistics 0;
alter table baton.job_ended alter column options set statistics 0;
alter table baton.job_ended alter column progress set statistics 0;
alter table baton.job_ended alter column error set statistics 0;

create table baton.log_line_default partition of baton.log_line DEFAULT;

create table baton.job_dead_default partition of baton.job_dead DEFAULT;
alter table baton.job_dead_default replica identity full;

create table baton.job_ended_default partition of baton.job_ended DEFAULT;

alter table baton.lane add constraint lane_namespace_id_queue_fkey FOREIGN KEY (namespace_id, queue) REFERENCES baton.queue(namespace_id, name);
alter table baton.queue add constraint queue_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES baton.namespace(id);
alter table baton.task add constraint task_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES baton.namespace(id);
alter table baton.worker add constraint worker_server_id_fkey FOREIGN KEY (server_id) REFERENCES baton.server(id);
