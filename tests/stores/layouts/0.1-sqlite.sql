CREATE TABLE IF NOT EXISTS coatcheck_namespaces (
	namespace VARCHAR(64) NOT NULL,
	purged_at DOUBLE NOT NULL,
	PRIMARY KEY (namespace)
);
CREATE TABLE IF NOT EXISTS coatcheck_sessions (
	namespace VARCHAR(64) NOT NULL,
	"key" VARCHAR(32) NOT NULL,
	version BIGINT NOT NULL,
	expires_at DOUBLE,
	user_id BLOB,
	payload BLOB NOT NULL,
	PRIMARY KEY (namespace, "key"),
	CONSTRAINT coatcheck_expiry UNIQUE (expires_at, namespace, "key")
);
CREATE TABLE IF NOT EXISTS coatcheck_user_sessions (
	namespace VARCHAR(64) NOT NULL,
	user_id BLOB NOT NULL,
	"key" VARCHAR(32) NOT NULL,
	position BIGINT NOT NULL,
	admitted_at DOUBLE NOT NULL,
	evicted BOOLEAN NOT NULL,
	replaces VARCHAR(32),
	PRIMARY KEY (namespace, user_id, "key")
);
CREATE TABLE IF NOT EXISTS coatcheck_users (
	namespace VARCHAR(64) NOT NULL,
	user_id BLOB NOT NULL,
	epoch BIGINT NOT NULL,
	counter BIGINT NOT NULL,
	PRIMARY KEY (namespace, user_id)
);
