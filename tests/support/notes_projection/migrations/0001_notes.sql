-- No primary key: a record that is applied twice shows as two rows.
CREATE TABLE notes (position bigint NOT NULL, text text NOT NULL CHECK (text <> 'forbidden'));
