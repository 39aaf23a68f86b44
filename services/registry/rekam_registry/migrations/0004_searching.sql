-- Searches among a million versions: by stage, number and source, by a part of a source, name or tag, and as of
-- a time. Long histories as of a time.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE INDEX version_states_by_stage_and_update ON version_states (stage, updated_us DESC, name, version DESC)
    WHERE until_position = 9223372036854775807;
CREATE INDEX version_states_by_number ON version_states (version DESC, name)
    WHERE until_position = 9223372036854775807;
-- What was true as of a time was updated before it.
CREATE INDEX version_states_once_by_update ON version_states (updated_us DESC, name, version DESC);
-- Who had a name as of a time, and what had happened by then.
CREATE INDEX model_states_by_name_and_time ON model_states (name, until_us);
CREATE INDEX changes_by_time ON changes (model_id, time_us);

-- A source is longer than an index entry may be; its head finds all but the ties.
CREATE INDEX versions_by_source ON versions (left(source, 200));
CREATE INDEX versions_by_text ON versions USING gin (source gin_trgm_ops);
CREATE INDEX model_states_by_text ON model_states USING gin (name gin_trgm_ops)
    WHERE until_position = 9223372036854775807;
CREATE INDEX model_tags_by_text ON model_tags USING gin (value gin_trgm_ops)
    WHERE until_position = 9223372036854775807;
CREATE INDEX version_tags_by_text ON version_tags USING gin (value gin_trgm_ops)
    WHERE until_position = 9223372036854775807;

-- How often a key has a value, and how often a source a part: without these the planner guesses, and is wrong by
-- orders of magnitude.
CREATE STATISTICS model_tags_values (ndistinct, dependencies, mcv) ON key, left(value, 200) FROM model_tags;
CREATE STATISTICS version_tags_values (ndistinct, dependencies, mcv) ON key, left(value, 200) FROM version_tags;
ALTER TABLE versions ALTER COLUMN source SET STATISTICS 1000;
