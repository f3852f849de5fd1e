//! Names of keys and channels.

/// Names the keys and channels of one store.
///
/// Each name begins with the setting `redis_prefix` and the store's id, so that
/// several stores can share a Redis. Keys of one product have its id as their
/// hash tag, so that a cluster keeps them in one slot. Channels also carry the
/// database number, since Redis shares them between databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisNames {
    prefix: String,
    database: i64,
}

impl RedisNames {
    pub fn new(prefix: &str, store_id: u64) -> Self {
        Self { prefix: format!("{prefix}:{store_id:016x}"), database: 0 }
    }

    pub(super) fn in_database(self, database: i64) -> Self {
        Self { database, ..self }
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key of a product: `stockade:<store id>:{<product id>}:lock`.
    pub fn product_key(&self, id: u64, suffix: &str) -> String {
        format!("{}:{{{id}}}:{suffix}", self.prefix)
    }

    /// A key to probe for writes; each number hashes to another slot.
    pub(super) fn probe(&self, number: u32) -> String {
        format!("{}:probe:{number}", self.prefix)
    }

    pub fn channel(&self, suffix: &str) -> String {
        format!("{}:{}:{suffix}", self.prefix, self.database)
    }
}

#[cfg(test)]
mod tests {
    use redis::cluster_routing::Slot;

    use super::*;

    impl RedisNames {
        /// With this prefix alone.
        pub fn plain(prefix: &str) -> Self {
            Self { prefix: prefix.to_owned(), database: 0 }
        }
    }

    #[test]
    fn keys_of_one_product_share_a_slot_and_those_of_two_do_not() {
        for prefix in ["stockade", "shop:{a}", "shop{", "}{"] {
            let names = RedisNames::new(prefix, 7);
            let slot = |id, what| Slot::for_key(names.product_key(id, what));
            assert_eq!(slot(7, "lock"), slot(7, "row"), "{prefix}");
        }
        let names = RedisNames::new("stockade", 7);
        assert_eq!(names.product_key(3, "lock"), "stockade:0000000000000007:{3}:lock");
        let slot = |id| Slot::for_key(names.product_key(id, "lock"));
        assert_ne!(slot(1), slot(2));
    }

    #[test]
    fn names_differ_by_store_and_channels_also_by_database() {
        let (one, two) = (RedisNames::new("stockade", 1), RedisNames::new("stockade", 2));
        assert_ne!(one.channel("changed"), two.channel("changed"));
        assert_ne!(one.product_key(1, "row"), two.product_key(1, "row"));
        assert_ne!(one.channel("changed"), one.clone().in_database(3).channel("changed"));
    }
}
