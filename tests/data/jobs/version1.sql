-- A results database as version 1 of the tables had it: no full-text index, no digests of images.

CREATE TABLE models(
  key INTEGER PRIMARY KEY,
  folder TEXT NOT NULL, fingerprint TEXT NOT NULL, family TEXT NOT NULL, precision TEXT NOT NULL,
  details TEXT NOT NULL,
  UNIQUE(fingerprint, precision));

CREATE TABLE runs(
  key INTEGER PRIMARY KEY,
  identity TEXT NOT NULL,            -- SHA-256 of manifest path, model, precision and settings
  manifest TEXT NOT NULL,
  model_key INTEGER NOT NULL REFERENCES models(key),
  settings TEXT NOT NULL,            -- JSON, shapes answers
  environment TEXT NOT NULL,         -- JSON, does not
  version TEXT NOT NULL, machine TEXT NOT NULL,
  status TEXT NOT NULL,              -- running | finished | interrupted | failed
  started TEXT NOT NULL, ended TEXT,
  resumed INTEGER NOT NULL DEFAULT 0,
  stats TEXT);
CREATE INDEX runs_identity ON runs(identity);

CREATE TABLE jobs(
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE, task TEXT NOT NULL);

CREATE TABLE items(
  key INTEGER PRIMARY KEY,
  job_key INTEGER NOT NULL REFERENCES jobs(key),
  id TEXT NOT NULL,
  variant INTEGER NOT NULL,          -- 0, or the position of a further item with the same id
  position INTEGER NOT NULL,
  task TEXT NOT NULL,
  prompt TEXT NOT NULL,
  images TEXT NOT NULL,              -- JSON list of paths as written
  image_sha256 TEXT NOT NULL,        -- JSON list
  "references" TEXT NOT NULL,        -- JSON list
  question_type TEXT, answer_type TEXT,
  metadata TEXT,                     -- JSON
  digest BLOB NOT NULL,              -- of the columns from task on
  UNIQUE(id, job_key, variant, digest));
CREATE INDEX items_position ON items(job_key, position);

CREATE TABLE results(
  key INTEGER PRIMARY KEY,
  run_key INTEGER NOT NULL REFERENCES runs(key),
  item_key INTEGER NOT NULL REFERENCES items(key),
  sequence INTEGER NOT NULL,
  current INTEGER NOT NULL,          -- 1: the item's latest outcome, 0: of its run, -1: replaced in its run
  status TEXT NOT NULL,              -- answered | failed
  answer TEXT, finish_reason TEXT, correct INTEGER, score REAL, logprob REAL,
  prompt_tokens INTEGER, answer_tokens INTEGER,
  error_stage TEXT, error_code TEXT, error_message TEXT,
  vision_ms REAL, text_ms REAL, queue_ms REAL, prefill_ms REAL, decode_ms REAL, total_ms REAL,
  created TEXT NOT NULL,
  details TEXT,                      -- JSON: token log-probabilities, probabilities of choices
  content_key BLOB);                 -- SHA-256 of all that the answer depends on
CREATE INDEX results_item ON results(item_key, run_key);
CREATE INDEX results_content ON results(content_key) WHERE content_key IS NOT NULL;
CREATE INDEX results_run ON results(run_key);
CREATE INDEX results_status ON results(status, finish_reason) WHERE current = 1;
CREATE INDEX results_errors ON results(run_key, error_stage, error_code) WHERE error_code IS NOT NULL;

CREATE VIEW history AS SELECT r.run_key AS "run", j.name AS "job", i.task AS "task", i.id AS "id", i.images AS "images", i.prompt AS "prompt", r.status AS "status", r.answer AS "answer", r.sequence AS "sequence", r.finish_reason AS "finish_reason", i."references" AS "references", r.correct AS "correct", r.score AS "score", r.logprob AS "logprob", r.prompt_tokens AS "prompt_tokens", r.answer_tokens AS "answer_tokens", r.error_stage AS "error_stage", r.error_code AS "error_code", r.error_message AS "error_message", r.vision_ms AS "vision_ms", r.text_ms AS "text_ms", r.queue_ms AS "queue_ms", r.prefill_ms AS "prefill_ms", r.decode_ms AS "decode_ms", r.total_ms AS "total_ms", r.created AS "created", i.metadata AS "metadata" FROM results r JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key;
CREATE VIEW answers AS SELECT r.run_key AS "run", j.name AS "job", i.task AS "task", i.id AS "id", i.images AS "images", i.prompt AS "prompt", r.status AS "status", r.answer AS "answer", r.sequence AS "sequence", r.finish_reason AS "finish_reason", i."references" AS "references", r.correct AS "correct", r.score AS "score", r.logprob AS "logprob", r.prompt_tokens AS "prompt_tokens", r.answer_tokens AS "answer_tokens", r.error_stage AS "error_stage", r.error_code AS "error_code", r.error_message AS "error_message", r.vision_ms AS "vision_ms", r.text_ms AS "text_ms", r.queue_ms AS "queue_ms", r.prefill_ms AS "prefill_ms", r.decode_ms AS "decode_ms", r.total_ms AS "total_ms", r.created AS "created", i.metadata AS "metadata" FROM results r JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key WHERE r.current = 1;
PRAGMA application_id = 1835876948;
PRAGMA user_version = 1;
INSERT INTO models VALUES(1, '/model', 'f00d', 'tiny', 'f32', '{}');
INSERT INTO runs VALUES(1, 'x', '/m.yaml', 1, '{}', '{}', '0.1.0', 'here', 'finished', '2026-01-01T00:00:00.000Z', NULL, 0, '{}');
INSERT INTO jobs VALUES(1, 'shapes', 'vqa');
INSERT INTO items VALUES(1, 1, 'a', 0, 1, 'vqa', 'what color?', '["a.png"]', '[]', '["blue"]', NULL, NULL, NULL, x'00');
INSERT INTO results VALUES(1, 1, 1, 0, 1, 'answered', 'blue', 'stop', 1, 1.0, -0.5, 7, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1.5, '2026-01-01T00:00:01.000Z', NULL, x'01');
