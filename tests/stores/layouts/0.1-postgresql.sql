CREATE TABLE IF NOT EXISTS coatcheck_namespaces (
	namespace VARCHAR(64) COLLATE "C" NOT NULL,
	purged_at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (namespace)
);
CREATE TABLE IF NOT EXISTS coatcheck_sessions (
	namespace VARCHAR(64) COLLATE "C" NOT NULL,
	key VARCHAR(32) COLLATE "C" NOT NULL,
	version BIGINT NOT NULL,
	expires_at DOUBLE PRECISION,
	user_id BYTEA,
	payload BYTEA NOT NULL,
	PRIMARY KEY (namespace, key),
	CONSTRAINT coatcheck_expiry UNIQUE (expires_at, namespace, key)
);
CREATE TABLE IF NOT EXISTS coatcheck_user_sessions (
	namespace VARCHAR(64) COLLATE "C" NOT NULL,
	user_id BYTEA NOT NULL,
	key VARCHAR(32) COLLATE "C" NOT NULL,
	position BIGINT NOT NULL,
	admitted_at DOUBLE PRECISION NOT NULL,
	evicted BOOLEAN NOT NULL,
	replaces VARCHAR(32) COLLATE "C",
	PRIMARY KEY (namespace, user_id, key)
);
CREATE TABLE IF NOT EXISTS coatcheck_users (
	namespace VARCHAR(64) COLLATE "C" NOT NULL,
	user_id BYTEA NOT NULL,
	epoch BIGINT NOT NULL,
	counter BIGINT NOT NULL,
	PRIMARY KEY (namespace, user_id)
);
