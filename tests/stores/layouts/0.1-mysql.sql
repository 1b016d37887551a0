CREATE TABLE IF NOT EXISTS coatcheck_namespaces (
	namespace VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	purged_at DOUBLE NOT NULL,
	PRIMARY KEY (namespace)
)ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS coatcheck_sessions (
	namespace VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	`key` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	version BIGINT NOT NULL,
	expires_at DOUBLE,
	user_id VARBINARY(1024),
	payload LONGBLOB NOT NULL,
	PRIMARY KEY (namespace, `key`),
	CONSTRAINT coatcheck_expiry UNIQUE (expires_at, namespace, `key`)
)ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS coatcheck_user_sessions (
	namespace VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	user_id VARBINARY(1024) NOT NULL,
	`key` VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	position BIGINT NOT NULL,
	admitted_at DOUBLE NOT NULL,
	evicted BOOL NOT NULL,
	replaces VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	PRIMARY KEY (namespace, user_id, `key`)
)ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS coatcheck_users (
	namespace VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	user_id VARBINARY(1024) NOT NULL,
	epoch BIGINT NOT NULL,
	counter BIGINT NOT NULL,
	PRIMARY KEY (namespace, user_id)
)ENGINE=InnoDB;
