-- The names of customers, each once: all else refers to the id. The name is the key, so
-- that who finds a name taken locks its row alone and no gap beside it.
CREATE TABLE IF NOT EXISTS stockade_customers (
    name VARBINARY(255) NOT NULL PRIMARY KEY,
    id BIGINT NOT NULL AUTO_INCREMENT,
    UNIQUE KEY stockade_customers_id (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
