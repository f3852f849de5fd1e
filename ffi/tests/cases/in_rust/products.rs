//! The calls about products in Rust.

use std::str::FromStr;

use serde_json::{Value, json};
use stockade::{
    Change, Engine, InvalidArgument, NewProduct, ProductChange, ProductId, PutProduct, Result,
    StockAdjustment,
};

use super::{Args, replayable};

pub(super) fn make(engine: &Engine, call: &str, args: &Args) -> Result<Value> {
    match call {
        "product" => Ok(json!(engine.product(args.product("id")?)?)),
        "create_product" => {
            let price = args.parsed("price")?.expect("a price");
            let stock = args.number("stock").expect("a stock");
            let mut new = NewProduct::new(args.text("name").expect("a name"), price, stock);
            (new.id, new.sku) = (args.number("id").map(ProductId), args.text("sku"));
            (new.currency, new.metadata) = (args.parsed("currency")?, args.metadata()?);
            new.on_sale_from = args.parsed("on_sale_from")?;
            new.on_sale_until = args.parsed("on_sale_until")?;
            new.safety_stock = args.number("safety_stock").unwrap_or_default();
            new.key = args.text("key");
            Ok(replayable(engine.create_product(new)?, |product| json!(product)))
        }
        "put_product" => {
            let (name, price) = (args.text("name").expect("a name"), args.parsed("price")?);
            let mut put = PutProduct::new(args.product("product")?, name, price.expect("a price"));
            (put.sku, put.stock) = (args.text("sku"), args.number("stock"));
            (put.currency, put.metadata) = (args.parsed("currency")?, args.metadata()?);
            put.on_sale_from = args.parsed("on_sale_from")?;
            put.on_sale_until = args.parsed("on_sale_until")?;
            put.safety_stock = args.number("safety_stock").unwrap_or_default();
            put.version = args.number("version");
            let outcome = engine.put_product(put)?;
            let mut product = json!(outcome.product);
            product["created"] = json!(outcome.created);
            Ok(product)
        }
        "change_product" => {
            let mut changed = ProductChange::new(args.product("product")?);
            (changed.name, changed.price) = (args.text("name"), args.parsed("price")?);
            changed.currency = args.parsed("currency")?;
            changed.sku = match args.0.get("sku") {
                None => Change::Keep,
                Some(Value::Null) => Change::Clear,
                Some(_) => Change::Set(args.text("sku").expect("a SKU")),
            };
            changed.metadata = match args.0.get("metadata") {
                None => Change::Keep,
                Some(Value::Null) => Change::Clear,
                Some(json) => Change::Set(json.to_string().parse()?),
            };
            changed.on_sale_from = change(args, "on_sale_from")?;
            changed.on_sale_until = change(args, "on_sale_until")?;
            (changed.safety_stock, changed.stock) =
                (args.number("safety_stock"), args.number("stock"));
            changed.archived = args.0.get("archived").and_then(Value::as_bool);
            changed.version = args.number("version");
            Ok(json!(engine.change_product(changed)?))
        }
        _ => {
            let product = args.product("product_id")?;
            let reason = args.text("reason").expect("a reason");
            let mut adjustment = match args.number("to") {
                Some(to) => StockAdjustment::to(product, to, reason),
                None => {
                    let delta = args.0["delta"].as_i64().expect("a delta");
                    StockAdjustment::new(product, delta, reason)
                }
            };
            (adjustment.key, adjustment.version) = (args.text("key"), args.number("version"));
            Ok(replayable(engine.adjust_stock(&adjustment)?, |product| json!(product)))
        }
    }
}

fn change<T: FromStr<Err = InvalidArgument>>(args: &Args, name: &str) -> Result<Change<T>> {
    match args.0.get(name) {
        None => Ok(Change::Keep),
        Some(Value::Null) => Ok(Change::Clear),
        Some(_) => Ok(Change::Set(args.parsed(name)?.expect("a value"))),
    }
}
