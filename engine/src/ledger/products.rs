//! Makes and changes products; receives their goods and writes them off.

use std::sync::Arc;

use crate::model::{
    Currency, EventKind, Metadata, Money, Product, ProductChange, ProductId, ShortLine, Timestamp,
};

use super::batch_state::BatchState;
use super::rows::EventDetails;
use super::{Answer, Decision, NewStock, ProductRow, Refusal};

/// The reason of an adjustment that a request for a product brings about.
const IMPORT: &str = "import";

/// What a product is, but for its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductTerms {
    pub sku: Option<String>,
    pub name: String,
    pub price: Money,
    pub currency: Currency,
    pub safety_stock: u64,
    pub on_sale_from: Option<Timestamp>,
    pub on_sale_until: Option<Timestamp>,
    pub metadata: Option<Metadata>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProductWrite {
    /// Makes it.
    Create { terms: ProductTerms, stock: u64 },
    /// Makes it, or replaces its terms.
    Put { terms: ProductTerms, stock: Option<u64>, version: Option<u64> },
    /// Changes some of its terms.
    Change(ProductChange),
}

/// A product to make or to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductCommand {
    /// 0 for one that is to be made, until it is drawn, and where no product had the
    /// SKU.
    pub id: ProductId,
    /// Whether the id is drawn when the command's turn comes.
    pub is_drawn: bool,
    /// The SKU that names the product: the product must have it, or none if the id is
    /// drawn.
    pub named_sku: Option<Arc<str>>,
    pub write: ProductWrite,
}

impl ProductCommand {
    /// The SKUs of which the decision must know the products.
    pub fn skus(&self) -> impl Iterator<Item = &str> {
        let wanted = match &self.write {
            ProductWrite::Create { terms, .. } | ProductWrite::Put { terms, .. } => {
                terms.sku.as_deref()
            }
            ProductWrite::Change(change) => match &change.sku {
                crate::model::Change::Set(sku) => Some(sku.as_str()),
                _ => None,
            },
        };
        wanted.into_iter().chain(self.named_sku.as_deref())
    }

    /// The units in stock that an existing product shall have.
    pub fn stock(&self) -> Option<u64> {
        match &self.write {
            ProductWrite::Create { .. } => None,
            ProductWrite::Put { stock, .. } => *stock,
            ProductWrite::Change(change) => change.stock,
        }
    }
}

impl ProductTerms {
    pub fn of(product: &Product) -> Self {
        Self {
            sku: product.sku.clone(),
            name: product.name.clone(),
            price: product.price,
            currency: product.currency,
            safety_stock: product.safety_stock,
            on_sale_from: product.on_sale_from,
            on_sale_until: product.on_sale_until,
            metadata: product.metadata.clone(),
        }
    }

    fn changed(&self, change: &ProductChange) -> Self {
        let mut terms = self.clone();
        let ProductChange { name, price, currency, safety_stock, .. } = change;
        terms.name = name.clone().unwrap_or(terms.name);
        terms.price = price.unwrap_or(terms.price);
        terms.currency = currency.unwrap_or(terms.currency);
        terms.safety_stock = safety_stock.unwrap_or(terms.safety_stock);
        change.sku.apply(&mut terms.sku);
        change.metadata.apply(&mut terms.metadata);
        change.on_sale_from.apply(&mut terms.on_sale_from);
        change.on_sale_until.apply(&mut terms.on_sale_until);
        terms
    }

    /// Refuses terms that contradict each other.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.price.to_minor(self.currency).is_err() {
            return Err(Refusal::AmountDecimals(self.currency));
        }
        match (self.on_sale_from, self.on_sale_until) {
            (Some(from), Some(until)) if from >= until => Err(Refusal::EmptySale(from, until)),
            _ => Ok(()),
        }
    }

    fn apply(self, product: &mut Product) {
        let Self { sku, name, price, currency, safety_stock, .. } = self;
        (product.sku, product.name) = (sku, name);
        (product.price, product.currency) = (price, currency);
        (product.on_sale_from, product.on_sale_until) = (self.on_sale_from, self.on_sale_until);
        product.metadata = self.metadata;
        product.safety_stock = safety_stock;
        product.set_in_stock(product.in_stock);
    }
}

impl BatchState<'_> {
    /// Makes a product, or changes it.
    pub(super) fn write_product(&mut self, command: &ProductCommand) -> Result<Answer, Decision> {
        let ProductCommand { id, is_drawn, named_sku, write } = command;
        let row = self.rows.products.get(id);
        if let Some(named) = named_sku {
            let is_stale = match row {
                Some(row) => row.product.sku.as_deref() != Some(named),
                None => self.rows.product_by_sku.contains_key(named.as_ref()),
            };
            if is_stale {
                return Err(Decision::StaleName);
            }
        }
        let before = row.map(|row| ProductTerms::of(&row.product));
        match (write, before) {
            (ProductWrite::Create { .. }, Some(_)) if !is_drawn => {
                Err(Refusal::IdTaken(*id).into())
            }
            (ProductWrite::Create { terms, stock }, _) => {
                Ok(Answer::Product(self.create_product(*id, terms.clone(), *stock, None)?))
            }
            (ProductWrite::Put { version: Some(asked), .. }, None) => {
                let (asked, version) = (*asked, 0);
                Err(Refusal::VersionMismatch { product_id: *id, asked, version }.into())
            }
            (ProductWrite::Put { terms, stock, .. }, None) => {
                let stock = stock.unwrap_or(0);
                let product = self.create_product(*id, terms.clone(), stock, Some(IMPORT))?;
                Ok(Answer::Put { product, created: true })
            }
            (ProductWrite::Put { terms, stock, version }, Some(before)) => {
                self.check_version(*id, *version)?;
                let product = self.change_product(*id, before, terms.clone(), None, *stock)?;
                Ok(Answer::Put { product, created: false })
            }
            (ProductWrite::Change(_), None) => Err(match named_sku {
                Some(sku) => Refusal::NoSku(sku.to_string()),
                None => Refusal::NoProduct(*id),
            }
            .into()),
            (ProductWrite::Change(change), Some(before)) => {
                self.check_version(*id, change.version)?;
                let terms = before.changed(change);
                let (archived, stock) = (change.archived, change.stock);
                Ok(Answer::Product(self.change_product(*id, before, terms, archived, stock)?))
            }
        }
    }

    fn create_product(
        &mut self,
        id: ProductId,
        terms: ProductTerms,
        stock: u64,
        reason: Option<&str>,
    ) -> Result<Box<Product>, Decision> {
        terms.check()?;
        self.take_sku(id, None, terms.sku.as_deref())?;
        let mut product = Product {
            id,
            sku: None,
            name: String::new(),
            price: terms.price,
            currency: terms.currency,
            stock: 0,
            in_stock: stock,
            safety_stock: 0,
            held: 0,
            pending: 0,
            sold: 0,
            returned: 0,
            on_sale_from: None,
            on_sale_until: None,
            archived: false,
            metadata: None,
            version: 1,
        };
        terms.apply(&mut product);
        let row =
            ProductRow { product: product.clone(), received: stock, fence: 0, next_due: None };
        self.add_product(row);
        self.emit_product_event(EventKind::ProductCreated, &product);
        if stock > 0 {
            let units = i64::try_from(stock).unwrap_or(i64::MAX);
            self.emit_adjusted(id, units, reason.unwrap_or_default());
        }
        Ok(Box::new(product))
    }

    fn change_product(
        &mut self,
        id: ProductId,
        before: ProductTerms,
        terms: ProductTerms,
        archived: Option<bool>,
        stock: Option<u64>,
    ) -> Result<Box<Product>, Decision> {
        terms.check()?;
        if stock.is_some() {
            // What is due counts as in stock.
            self.check_nothing_due(id)?;
        }
        let row = self.rows.products.get(&id).ok_or(Refusal::NoProduct(id))?;
        let delta = stock.map_or(Ok(0), |to| delta_of(row, NewStock::To(to)))?;
        let received = received(row, delta)?;
        if terms.sku != before.sku {
            self.take_sku(id, before.sku.as_deref(), terms.sku.as_deref())?;
        }
        let has_changed = terms != before;
        let row = self.rows.products.get_mut(&id).ok_or(Refusal::NoProduct(id))?;
        let was_archived = row.product.archived;
        row.product.archived = archived.unwrap_or(was_archived);
        let is_archived = row.product.archived && !was_archived;
        let is_revived = was_archived && !row.product.archived;
        if has_changed {
            terms.apply(&mut row.product);
        }
        if delta != 0 {
            row.received = received;
            row.product.set_in_stock(row.product.in_stock.saturating_add_signed(delta));
        }
        let product = row.product.clone();
        if has_changed || is_revived {
            self.emit_product_event(EventKind::ProductChanged, &product);
        }
        if is_archived {
            self.emit_product_event(EventKind::ProductArchived, &product);
        }
        if delta != 0 {
            self.emit_adjusted(id, delta, IMPORT);
        }
        Ok(Box::new(Product { version: self.current_version(id), ..product }))
    }

    /// Gives a product another SKU, if no other has it.
    fn take_sku(
        &mut self,
        id: ProductId,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<(), Refusal> {
        if let Some(sku) = after {
            match self.rows.product_by_sku.get(sku) {
                Some(other) if *other != id => {
                    return Err(Refusal::SkuTaken(*other, sku.to_owned()));
                }
                _ => drop(self.rows.product_by_sku.insert(sku.to_owned(), id)),
            }
        }
        if let Some(sku) = before {
            self.rows.product_by_sku.remove(sku);
        }
        Ok(())
    }

    /// Refuses a product that the caller knows by another version.
    fn check_version(&self, product_id: ProductId, asked: Option<u64>) -> Result<(), Refusal> {
        let version = self.current_version(product_id);
        match asked.filter(|asked| *asked != version) {
            Some(asked) => Err(Refusal::VersionMismatch { product_id, asked, version }),
            None => Ok(()),
        }
    }

    /// Adds received goods to the stock, or writes goods off.
    pub(super) fn adjust(
        &mut self,
        product_id: ProductId,
        sku: Option<&str>,
        stock: NewStock,
        reason: &str,
        version: Option<u64>,
    ) -> Result<Answer, Decision> {
        let Some(row) = self.rows.products.get(&product_id) else {
            let of_sku = sku.map(|sku| Refusal::NoSku(sku.to_owned()));
            return Err(of_sku.unwrap_or(Refusal::NoProduct(product_id)).into());
        };
        if sku.is_some() && sku != row.product.sku.as_deref() {
            return Err(Decision::StaleName);
        }
        self.check_version(product_id, version)?;
        if matches!(stock, NewStock::To(_)) {
            // What is due counts as in stock.
            self.check_nothing_due(product_id)?;
        }
        let delta = delta_of(row, stock)?;
        let Some(in_stock) = row.product.in_stock.checked_add_signed(delta) else {
            if delta > 0 {
                return Err(Refusal::StockTooLarge(product_id).into());
            }
            self.check_nothing_due(product_id)?;
            let (requested, available) = (delta.unsigned_abs(), row.product.in_stock);
            let short =
                vec![ShortLine { product_id, sku: row.product.sku.clone(), requested, available }];
            return Err(Refusal::Insufficient(short).into());
        };
        let received = received(row, delta)?;
        if delta != 0 {
            if let Some(row) = self.rows.products.get_mut(&product_id) {
                row.product.set_in_stock(in_stock);
                row.received = received;
            }
            self.emit_adjusted(product_id, delta, reason);
        }
        let row = self.rows.products.get(&product_id).ok_or(Refusal::NoProduct(product_id))?;
        // The version that the commit will give the row.
        let version = self.current_version(product_id);
        Ok(Answer::Product(Box::new(Product { version, ..row.product.clone() })))
    }

    /// Refuses a product that is not for sale now.
    pub(super) fn check_on_sale(&self, product: &Product) -> Result<(), Refusal> {
        match product.off_sale(self.now) {
            Some(why) => Err(Refusal::NotOnSale(product.id, why)),
            None => Ok(()),
        }
    }

    fn emit_adjusted(&mut self, id: ProductId, delta: i64, reason: &str) {
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        let details = EventDetails { reason, ..EventDetails::default() };
        self.emit_detailed(EventKind::StockAdjusted, id, delta, details);
    }

    fn emit_product_event(&mut self, kind: EventKind, product: &Product) {
        let (sku, metadata) = (product.sku.clone(), product.metadata.clone());
        let details = EventDetails { sku, metadata, ..EventDetails::default() };
        self.emit_detailed(kind, product.id, 0, details);
    }
}

/// Returns by how many units a product's stock is to change.
fn delta_of(row: &ProductRow, stock: NewStock) -> Result<i64, Refusal> {
    let too_large = || Refusal::StockTooLarge(row.product.id);
    // The stores have signed 64-bit columns, so that a difference fits.
    let signed = |units: u64| i64::try_from(units).map_err(|_| too_large());
    match stock {
        NewStock::By(delta) => Ok(delta),
        NewStock::To(units) => Ok(signed(units)? - signed(row.product.in_stock)?),
    }
}

/// Returns the units received after a change by `delta`, if they can be stored.
fn received(row: &ProductRow, delta: i64) -> Result<u64, Refusal> {
    let received = row.received.checked_add_signed(delta);
    let received = received.filter(|sum| i64::try_from(*sum).is_ok());
    received.ok_or(Refusal::StockTooLarge(row.product.id))
}
