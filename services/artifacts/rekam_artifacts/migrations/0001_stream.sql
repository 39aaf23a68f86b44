-- The service's stream, of which nothing is projected yet.
INSERT INTO projection_position (stream, position) VALUES ('REKAM_ARTIFACTS', 0);
