//! Demo products to try the server with.

use stockade::{AsyncEngine, Money, NewProduct, Result};

/// Name, price and stock. The first is the sample of the contract.
const PRODUCTS: &[(&str, &str, u64)] = &[
    ("Concert ticket", "200", 4),
    ("Coffee mug", "19.99", 100),
    ("Desk lamp", "49.5", 25),
    ("Notebook", "3", 1_000),
    ("Limited print", "120", 1),
];

/// Whether a store has no product.
pub async fn is_empty(engine: &AsyncEngine) -> Result<bool> {
    Ok(engine.products(None, 1).await?.items.is_empty())
}

/// Adds the demo products to a store without products and returns how many it
/// added.
pub async fn seed(engine: &AsyncEngine) -> Result<usize> {
    if !is_empty(engine).await? {
        return Ok(0);
    }
    for (name, price, stock) in PRODUCTS {
        let price: Money = price.parse()?;
        engine.create_product(NewProduct::new(*name, price, *stock)).await?;
    }
    Ok(PRODUCTS.len())
}
