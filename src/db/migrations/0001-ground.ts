import { sql, type Kysely } from 'kysely'

/** Accounts, projects with their history and lease, conversations and jobs. */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE TABLE users (
      id text PRIMARY KEY,
      name text,
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db)

  await sql`
    CREATE TABLE api_keys (
      hash text PRIMARY KEY,
      user_id text NOT NULL REFERENCES users,
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db)

  await sql`
    CREATE TABLE projects (
      id text PRIMARY KEY,
      user_id text NOT NULL REFERENCES users,
      name text NOT NULL,
      review text NOT NULL CHECK (review IN ('merge', 'hold')),
      last_seq bigint NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz
    )`.execute(db)
  await sql`CREATE INDEX projects_of_user ON projects (user_id, id)`.execute(db)

  await sql`
    CREATE TABLE project_leases (
      project_id text PRIMARY KEY REFERENCES projects,
      token bigint NOT NULL,
      holder text NOT NULL,
      expires_at timestamptz NOT NULL
    )`.execute(db)

  await sql`
    CREATE TABLE sessions (
      id text PRIMARY KEY,
      project_id text NOT NULL REFERENCES projects,
      title text NOT NULL,
      agent_session_id text,
      created_at timestamptz NOT NULL DEFAULT now(),
      last_used_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db)
  await sql`CREATE INDEX sessions_of_project ON sessions (project_id, id)`.execute(db)

  await sql`
    CREATE TABLE jobs (
      id text PRIMARY KEY,
      position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
      project_id text NOT NULL REFERENCES projects,
      user_id text NOT NULL REFERENCES users,
      session_id text NOT NULL REFERENCES sessions,
      status text NOT NULL CHECK (status IN
        ('queued', 'starting', 'running', 'settling', 'succeeded', 'failed', 'cancelled')),
      text text NOT NULL,
      mode text NOT NULL,
      model text NOT NULL,
      current_file_path text,
      review text NOT NULL CHECK (review IN ('merge', 'hold')),
      max_credits bigint CHECK (max_credits > 0),
      reserved bigint NOT NULL CHECK (reserved > 0),
      charged bigint CHECK (charged >= 0),
      refunded bigint CHECK (refunded >= 0),
      usage jsonb,
      branch text,
      base text,
      "commit" text,
      merge text NOT NULL DEFAULT 'none' CHECK (merge IN
        ('none', 'merged', 'held', 'conflict', 'discarded', 'reverted')),
      error_code text,
      error_message text,
      token bigint,
      agent_session_id text,
      prompt_sent_at timestamptz,
      cancel_requested_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      started_at timestamptz,
      finished_at timestamptz,
      CHECK (status <> 'failed' OR error_code IS NOT NULL),
      CHECK ((charged IS NULL) = (status IN ('queued', 'starting', 'running', 'settling'))),
      CHECK (charged IS NULL OR charged + refunded = reserved)
    )`.execute(db)
  // Whatever a queue, a lock or a bug does: no project ever has two jobs at work.
  await sql`
    CREATE UNIQUE INDEX one_active_job_per_project ON jobs (project_id)
      WHERE status IN ('starting', 'running', 'settling')`.execute(db)
  await sql`CREATE INDEX jobs_queued ON jobs (project_id, position) WHERE status = 'queued'`.execute(
    db
  )
  await sql`CREATE INDEX jobs_of_project ON jobs (project_id, position)`.execute(db)
  await sql`CREATE INDEX jobs_of_session ON jobs (session_id, position)`.execute(db)

  // json, not jsonb: an agent's words may hold what jsonb refuses (NUL, half a surrogate pair).
  await sql`
    CREATE TABLE job_prompts (
      id text PRIMARY KEY,
      job_id text NOT NULL REFERENCES jobs,
      kind text NOT NULL CHECK (kind IN ('permission', 'question')),
      body json NOT NULL,
      expires_at timestamptz NOT NULL,
      answer jsonb,
      answered_by text,
      answered_at timestamptz,
      resolved_at timestamptz,
      CHECK ((answer IS NULL) = (answered_at IS NULL))
    )`.execute(db)
  await sql`CREATE INDEX prompts_of_job ON job_prompts (job_id)`.execute(db)

  await sql`
    CREATE TABLE project_events (
      project_id text NOT NULL REFERENCES projects,
      seq bigint NOT NULL CHECK (seq > 0),
      id text NOT NULL UNIQUE,
      job_id text REFERENCES jobs,
      type text NOT NULL,
      data json NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (project_id, seq)
    )`.execute(db)
  await sql`CREATE INDEX events_of_job ON project_events (job_id, seq)`.execute(db)
  await sql`
    CREATE UNIQUE INDEX one_end_per_job ON project_events (job_id)
      WHERE type IN ('job:success', 'job:error')`.execute(db)

  await sql`
    CREATE TABLE idempotency_keys (
      user_id text NOT NULL,
      key text NOT NULL,
      route text NOT NULL,
      body_hash text NOT NULL,
      status integer,
      headers jsonb,
      body text,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (user_id, key)
    )`.execute(db)

  await sql`
    CREATE TABLE ws_tickets (
      hash text PRIMARY KEY,
      user_id text NOT NULL REFERENCES users,
      project_id text NOT NULL REFERENCES projects,
      expires_at timestamptz NOT NULL
    )`.execute(db)
}
