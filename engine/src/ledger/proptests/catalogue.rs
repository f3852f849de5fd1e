//! Products in the property tests: their commands, and the reference model's rules.

use std::sync::Arc;

use super::generators::Digits;
use super::harness::Harness;
use super::reference::{ReferenceModel, StockCount};
use crate::ledger::{
    Answer, Command, CommandResult, NewHold, NewStock, ProductCommand, ProductTerms, ProductWrite,
    Refusal,
};
use crate::model::{
    Change, EventKind, Metadata, OffSale, Product, ProductChange, ProductId, Timestamp,
};
use crate::test_support::lamp;

const SKUS: [&str; 3] = ["a", "b", "c"];

fn sku(more: &mut Digits) -> Option<&'static str> {
    SKUS.get(more.take(4) as usize).copied()
}

impl Harness {
    /// Builds a command that makes or changes a product.
    pub(super) fn write_product(&mut self, id: ProductId, more: &mut Digits) -> Command {
        let kind = more.take(9);
        let named = SKUS[more.take(3) as usize];
        let holder = self.reference.product_of_sku(named);
        let drawn = ProductId(1_000 + self.next_product());
        let by_sku =
            |id: Option<ProductId>| (id.unwrap_or(drawn), id.is_none(), Some(named.into()));
        let (id, is_drawn, named_sku): (_, _, Option<Arc<str>>) = match kind {
            0 => (drawn, true, None),
            1 => (ProductId(50 + u64::from(more.take(2))), false, None),
            // One in four is of a product that had the SKU before, or that will.
            3 if more.take(4) == 0 => by_sku(holder.is_none().then_some(id)),
            3 => by_sku(holder),
            4 => (holder.unwrap_or(ProductId(0)), false, Some(named.into())),
            _ => (id, false, None),
        };
        let stock = [None, None, Some(0), Some(4)][more.take(4) as usize];
        // The model does not track versions.
        let version = None;
        let write = match kind {
            0 | 1 => ProductWrite::Create { terms: self.terms(more), stock: stock.unwrap_or(2) },
            2 | 3 => ProductWrite::Put { terms: self.terms(more), stock, version },
            _ => {
                let mut change = ProductChange::new(id);
                (change.stock, change.version) = (stock, version);
                self.draw_change(&mut change, more);
                ProductWrite::Change(change)
            }
        };
        let product = ProductCommand { id, is_drawn, named_sku, write };
        // As an adjustment has none: the model does not know the versions of answers.
        Command::WriteProduct { product: Box::new(product), key: None }
    }

    fn moment(&self, more: &mut Digits) -> Timestamp {
        Timestamp::from_micros(self.now().micros() + [-1, 0, 4, 9][more.take(4) as usize])
    }

    fn draw_change(&self, change: &mut ProductChange, more: &mut Digits) {
        match more.take(8) {
            0 => change.safety_stock = Some(more.take(3).into()),
            1 => change.archived = Some(more.take(3) == 0),
            2 => {
                change.on_sale_from = Change::Set(self.moment(more));
                change.on_sale_until = Change::Clear;
            }
            3 => change.on_sale_until = Change::Set(self.moment(more)),
            4 => (change.on_sale_from, change.on_sale_until) = (Change::Clear, Change::Clear),
            5 => change.price = Some(["1", "2.5"][more.take(2) as usize].parse().expect("a price")),
            _ => change.sku = sku(more).map_or(Change::Clear, |sku| Change::Set(sku.to_owned())),
        }
    }

    fn terms(&self, more: &mut Digits) -> ProductTerms {
        let Product { name, price, currency, .. } = lamp(ProductId(1), 0);
        let has_end = more.take(6) == 0;
        ProductTerms {
            sku: sku(more).map(str::to_owned),
            name,
            price,
            currency,
            safety_stock: more.take(2).into(),
            on_sale_from: None,
            on_sale_until: has_end.then(|| self.moment(more)),
            metadata: (more.take(2) == 0).then(|| Metadata::stored("{}")),
        }
    }
}

impl ReferenceModel {
    pub(super) fn product_of_sku(&self, sku: &str) -> Option<ProductId> {
        let mut all = self.products.iter();
        all.find(|(_, count)| count.terms.sku.as_deref() == Some(sku)).map(|(id, _)| *id)
    }

    pub(super) fn available(&self, id: ProductId) -> i128 {
        let StockCount { stock, terms, .. } = &self.products[&id];
        (stock - i128::from(terms.safety_stock)).max(0)
    }

    /// Refuses a product that is not for sale.
    pub(super) fn check_on_sale(&self, id: ProductId) -> Result<(), Refusal> {
        let terms = &self.products[&id].terms;
        let why = match (terms.on_sale_from, terms.on_sale_until) {
            _ if terms.archived => OffSale::Archived,
            (Some(from), _) if self.now < from => OffSale::Before(from),
            (_, Some(until)) if self.now >= until => OffSale::Since(until),
            _ => return Ok(()),
        };
        Err(Refusal::NotOnSale(id, why))
    }

    /// Whether the command names a product that no longer has the SKU.
    pub fn is_stale(&self, command: &Command) -> bool {
        let is_other = |id: ProductId, sku: &Option<Arc<str>>| {
            let of = sku.as_ref().map(|sku| self.product_of_sku(sku));
            of.is_some_and(|of| of != Some(id))
        };
        let of_line = |line: &NewHold| is_other(line.product_id, &line.sku);
        match command {
            Command::WriteProduct { product, .. } => is_other(product.id, &product.named_sku),
            command => command.new_holds().iter().any(of_line),
        }
    }

    pub(super) fn write_product(&mut self, command: &ProductCommand) -> CommandResult {
        let (id, exists) = (command.id, self.products.contains_key(&command.id));
        match &command.write {
            ProductWrite::Create { terms, stock } => {
                if exists {
                    return Err(Refusal::IdTaken(id));
                }
                self.make(id, terms, *stock).map(Answer::Product)
            }
            ProductWrite::Put { terms, stock, .. } if !exists => {
                if let ProductWrite::Put { version: Some(asked), .. } = command.write {
                    return Err(Refusal::VersionMismatch { product_id: id, asked, version: 0 });
                }
                let product = self.make(id, terms, stock.unwrap_or(0))?;
                Ok(Answer::Put { product, created: true })
            }
            ProductWrite::Put { terms, stock, .. } => {
                let archived = self.products[&id].terms.archived;
                let product = self.replace(id, terms, archived, *stock)?;
                Ok(Answer::Put { product, created: false })
            }
            ProductWrite::Change(_) if !exists => Err(match &command.named_sku {
                Some(sku) => Refusal::NoSku(sku.to_string()),
                None => Refusal::NoProduct(id),
            }),
            ProductWrite::Change(change) => {
                let mut terms = ProductTerms::of(&self.products[&id].terms);
                let set = |change: &Change<Timestamp>, at: &mut Option<Timestamp>| match change {
                    Change::Keep => {}
                    Change::Clear => *at = None,
                    Change::Set(to) => *at = Some(*to),
                };
                set(&change.on_sale_from, &mut terms.on_sale_from);
                set(&change.on_sale_until, &mut terms.on_sale_until);
                match &change.sku {
                    Change::Keep => {}
                    Change::Clear => terms.sku = None,
                    Change::Set(sku) => terms.sku = Some(sku.clone()),
                }
                terms.price = change.price.unwrap_or(terms.price);
                terms.safety_stock = change.safety_stock.unwrap_or(terms.safety_stock);
                let archived = change.archived.unwrap_or(self.products[&id].terms.archived);
                self.replace(id, &terms, archived, change.stock).map(Answer::Product)
            }
        }
    }

    fn check_terms(&self, id: ProductId, terms: &ProductTerms) -> Result<(), Refusal> {
        if terms.price.to_minor(terms.currency).is_err() {
            return Err(Refusal::AmountDecimals(terms.currency));
        }
        if let (Some(from), Some(until)) = (terms.on_sale_from, terms.on_sale_until)
            && from >= until
        {
            return Err(Refusal::EmptySale(from, until));
        }
        match terms.sku.as_ref().and_then(|sku| Some((sku, self.product_of_sku(sku)?))) {
            Some((sku, other)) if other != id => Err(Refusal::SkuTaken(other, sku.clone())),
            _ => Ok(()),
        }
    }

    fn make(
        &mut self,
        id: ProductId,
        terms: &ProductTerms,
        stock: u64,
    ) -> Result<Box<Product>, Refusal> {
        self.check_terms(id, terms)?;
        let terms = with_terms(lamp(id, 0), terms);
        let units = stock.into();
        self.products.insert(id, StockCount { stock: units, received: units, terms });
        self.tell(EventKind::ProductCreated, id, 0);
        if stock > 0 {
            self.tell(EventKind::StockAdjusted, id, units);
        }
        Ok(Box::new(self.product(id)))
    }

    fn replace(
        &mut self,
        id: ProductId,
        terms: &ProductTerms,
        archived: bool,
        stock: Option<u64>,
    ) -> Result<Box<Product>, Refusal> {
        self.check_terms(id, terms)?;
        let Some(count) = self.products.get_mut(&id) else {
            return Err(Refusal::NoProduct(id));
        };
        let before = count.terms.clone();
        count.terms = with_terms(before.clone(), terms);
        count.terms.archived = archived;
        let delta = stock.map_or(0, |to| i128::from(to) - count.stock);
        (count.stock, count.received) = (count.stock + delta, count.received + delta);
        let has_changed = with_terms(before.clone(), terms) != before;
        if has_changed || (before.archived && !archived) {
            self.tell(EventKind::ProductChanged, id, 0);
        }
        if archived && !before.archived {
            self.tell(EventKind::ProductArchived, id, 0);
        }
        if delta != 0 {
            self.tell(EventKind::StockAdjusted, id, delta);
        }
        Ok(Box::new(self.product(id)))
    }

    fn tell(&mut self, kind: EventKind, id: ProductId, units: i128) {
        let units = i64::try_from(units).expect("few units");
        self.events.push((kind, id, None, None, units));
    }

    pub(super) fn adjust(&mut self, id: ProductId, stock: NewStock) -> CommandResult {
        let Some(product) = self.products.get_mut(&id) else {
            return Err(Refusal::NoProduct(id));
        };
        let delta = match stock {
            NewStock::By(delta) => delta.into(),
            NewStock::To(to) => i128::from(to) - product.stock,
        };
        if product.stock + delta < 0 {
            let available = u64::try_from(product.stock).expect("never below zero");
            let requested = u64::try_from(-delta).expect("a write-off");
            let sku = product.terms.sku.clone();
            let short = crate::model::ShortLine { product_id: id, sku, requested, available };
            return Err(Refusal::Insufficient(vec![short]));
        }
        if product.received + delta > i128::from(i64::MAX) {
            return Err(Refusal::StockTooLarge(id));
        }
        product.received += delta;
        product.stock += delta;
        if delta != 0 {
            self.tell(EventKind::StockAdjusted, id, delta);
        }
        Ok(Answer::Product(Box::new(self.product(id))))
    }

    /// Sets the SKUs of an answer, which shows those that the products have now.
    pub(super) fn name(&self, result: &mut CommandResult) {
        let sku = |id: &ProductId| self.products[id].terms.sku.clone();
        match result {
            Ok(Answer::Hold(hold)) => hold.sku = sku(&hold.product_id),
            Ok(Answer::Cart(cart)) => {
                cart.holds.iter_mut().for_each(|hold| hold.sku = sku(&hold.product_id));
            }
            Ok(Answer::Order(order)) => {
                order.lines.iter_mut().for_each(|line| line.sku = sku(&line.product_id));
            }
            _ => {}
        }
    }
}

fn with_terms(product: Product, terms: &ProductTerms) -> Product {
    Product {
        sku: terms.sku.clone(),
        name: terms.name.clone(),
        price: terms.price,
        currency: terms.currency,
        safety_stock: terms.safety_stock,
        on_sale_from: terms.on_sale_from,
        on_sale_until: terms.on_sale_until,
        metadata: terms.metadata.clone(),
        ..product
    }
}
