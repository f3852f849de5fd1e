//! Which events a target gets.

use std::collections::HashSet;

use stockade::{Event, EventKind};

/// A filter by kind, product and SKU. An event passes if its kind is named, and its
/// product is, by id or by SKU; what names nothing lets all pass.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    kinds: Vec<EventKind>,
    products: HashSet<u64>,
    skus: HashSet<String>,
}

impl Filter {
    /// Creates a filter. Kinds are words such as `order.paid`, or `order.*` for all that
    /// begin so.
    ///
    /// # Errors
    /// The word that is no kind.
    pub fn new(words: &[String], products: Vec<u64>, skus: Vec<String>) -> Result<Self, String> {
        let mut kinds = Vec::new();
        for word in words {
            let before = kinds.len();
            let is_named = |kind: &&EventKind| match word.strip_suffix('*') {
                Some(prefix) => kind.as_str().starts_with(prefix),
                None => kind.as_str() == word,
            };
            kinds.extend(EventKind::ALL.iter().filter(is_named));
            if kinds.len() == before {
                return Err(format!(
                    "events: `{word}` is no kind of event: write one such as order.paid, or order.*"
                ));
            }
        }
        let (products, skus) = (products.into_iter().collect(), skus.into_iter().collect());
        Ok(Self { kinds, products, skus })
    }

    /// Whether an event passes.
    pub fn passes(&self, event: &Event) -> bool {
        let is_any = self.products.is_empty() && self.skus.is_empty();
        let is_named = || {
            self.products.contains(&event.product_id.0)
                || event.sku.as_ref().is_some_and(|sku| self.skus.contains(sku))
        };
        (self.kinds.is_empty() || self.kinds.contains(&event.kind)) && (is_any || is_named())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_one_kind_or_all_with_a_prefix() {
        let filter = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            Filter::new(&words, vec![], vec![]).map(|filter| filter.kinds.len())
        };
        assert_eq!(filter(&[]), Ok(0));
        assert_eq!(filter(&["order.paid"]), Ok(1));
        assert_eq!(filter(&["*"]), Ok(EventKind::ALL.len()));
        let orders = EventKind::ALL.iter().filter(|kind| kind.as_str().starts_with("order."));
        assert_eq!(filter(&["order.*", "stock.adjusted"]), Ok(orders.count() + 1));
        assert!(filter(&["order.payed"]).is_err_and(|why| why.contains("order.payed")));
    }
}
