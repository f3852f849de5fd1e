//! Properties of the packed form.

use proptest::prelude::*;

use super::*;

const SEED: TokenSeed = TokenSeed(0x00112233_44556677_8899aabb_ccddeeff);

/// Holds of which each differs from the one before in few respects, so that rows
/// continue and end for each reason.
fn holds() -> impl Strategy<Value = Vec<HoldRow>> {
    let quantity = prop_oneof![8 => 1..=9_u32, 1 => 200..=300_u32, 1 => any::<u32>()];
    let gap = prop_oneof![30 => Just(1_u64), 1 => 2..=9_u64];
    let step = prop_oneof![30 => Just(0_u64), 1 => 1..=2_u64];
    let cart = prop_oneof![9 => Just(0_u64), 1 => 1..=u64::MAX];
    let hold = (gap, (quantity, cart), 0..4_i64, step.clone(), step.clone(), step);
    prop::collection::vec(hold, 0..700).prop_map(|rows| {
        let (mut id, mut product, mut created, mut end) = (40, 3, 1_000, 9_000);
        let deriver = SEED.deriver();
        let hold = |(gap, (quantity, cart), status, of_product, of_creation, of_end): (
            u64,
            (u32, u64),
            i64,
            u64,
            u64,
            u64,
        )| {
            id += gap;
            product += of_product;
            created += of_creation.cast_signed();
            end += of_end.cast_signed();
            HoldRow {
                id: HoldId(id),
                product_id: ProductId(product),
                quantity,
                status: HoldStatus::from_code(status).expect("a status"),
                expires_at: Timestamp::from_micros(end),
                created_at: Timestamp::from_micros(created),
                token: deriver.token(HoldId(id)),
                cart_id: (cart > 0).then_some(CartId(cart)),
            }
        };
        rows.into_iter().map(hold).collect()
    })
}

fn reread(row: &HoldBatch) -> Option<HoldBatch> {
    let HoldBatch { first_id, product_id, expires_at, created_at, version, seed, .. } = *row;
    let bare = HoldBatch::unpacked(first_id, product_id, expires_at, created_at, version, seed);
    let carts = row.packed_carts().map(<[u8]>::to_vec);
    bare.with_packed(row.packed_quantities().to_vec(), row.packed_statuses().to_vec())?
        .with_carts(carts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn holds_unpack_as_they_were_packed(holds in holds()) {
        let rows = HoldBatch::pack(&holds, SEED);
        let unpacked: Vec<HoldRow> =
            rows.iter().flat_map(|row| row.holds().map(|(_, hold)| hold).collect::<Vec<_>>()).collect();
        prop_assert_eq!(&unpacked, &holds);
        for row in &rows {
            prop_assert_eq!(reread(row), Some(row.clone()));
            prop_assert!((1..=HOLDS_MAX).contains(&row.count()));
            for (at, (_, hold)) in row.holds().enumerate() {
                prop_assert_eq!(row.hold(at), Some(hold));
                prop_assert_eq!(row.position(hold.id), Some(at));
            }
            prop_assert_eq!(row.position(HoldId(row.first_id - 1)), None);
            prop_assert_eq!(row.position(HoldId(row.end_id())), None);
        }
    }

    #[test]
    fn rows_are_disjoint_and_as_long_as_they_can_be(holds in holds()) {
        let rows = HoldBatch::pack(&holds, SEED);
        for pair in rows.windows(2) {
            prop_assert!(pair[0].end_id() <= pair[1].first_id);
            let next = pair[1].hold(0).expect("a hold");
            prop_assert!(!pair[0].is_continued_by(&next));
        }
    }

    #[test]
    fn a_changed_quantity_is_read_back_and_leaves_the_others(holds in holds(), at in any::<prop::sample::Index>(), to in 1..=u32::MAX) {
        for mut row in HoldBatch::pack(&holds, SEED) {
            let at = at.index(row.count());
            let mut expected: Vec<_> = row.holds().map(|(_, hold)| hold).collect();
            expected[at].quantity = to;
            row.set_quantity(at, to);
            prop_assert_eq!(&row.holds().map(|(_, hold)| hold).collect::<Vec<_>>(), &expected);
            let packed = pack_quantities(&expected.iter().map(|hold| hold.quantity).collect::<Vec<_>>());
            prop_assert_eq!(row.packed_quantities(), packed);
        }
    }

    #[test]
    fn counts_are_those_of_the_statuses(holds in holds(), moves in prop::collection::vec((0..HOLDS_MAX, 0..=DETACHED), 0..50)) {
        let mut rows = HoldBatch::pack(&holds, SEED);
        for (at, status) in moves {
            if let Some(row) = rows.first_mut() {
                row.set_status(at % row.count(), status);
            }
        }
        for row in &rows {
            let counts = row.counts();
            prop_assert_eq!(counts.holds.iter().sum::<u64>(), row.count() as u64);
            let active: Vec<u64> =
                row.holds().filter(|(status, _)| *status == 0).map(|(_, hold)| hold.quantity.into()).collect();
            prop_assert_eq!(counts.holds[0], active.len() as u64);
            prop_assert_eq!(counts.active_units, active.iter().sum::<u64>());
            prop_assert_eq!(row.due().is_some(), counts.holds[0] > 0);
        }
    }
}

fn row(quantities: Vec<u8>, statuses: Vec<u8>) -> Option<HoldBatch> {
    let at = Timestamp::from_micros(1);
    HoldBatch::unpacked(7, ProductId(1), at, at, 1, SEED).with_packed(quantities, statuses)
}

#[test]
fn malformed_columns_are_rejected() {
    assert!(row(vec![1, 2], vec![0, 1]).is_some());
    assert!(row(vec![0, 1, 0, 2], vec![0, DETACHED]).is_some());
    assert!(row(vec![1], vec![]).is_none(), "no hold");
    assert!(row(vec![1, 2, 3], vec![0, 1]).is_none(), "no width");
    assert!(row(vec![1; 6], vec![0, 1]).is_none(), "a width of three");
    assert!(row(vec![1], vec![DETACHED + 1]).is_none(), "no status");
    assert!(row(vec![1; 257], vec![0; 257]).is_none(), "too many");
    let carts = |carts| row(vec![1, 2], vec![0, 1]).and_then(|row| row.with_carts(carts));
    assert!(carts(None).is_some() && carts(Some(vec![0; 16])).is_some());
    assert!(carts(Some(vec![])).is_none() && carts(Some(vec![0; 15])).is_none());
}

#[test]
fn quantities_have_the_least_width_that_fits() {
    for (quantities, packed) in [
        (vec![1, 255], vec![1, 255]),
        (vec![1, 256], vec![0, 1, 1, 0]),
        (vec![1, 65_536], vec![0, 0, 0, 1, 0, 1, 0, 0]),
    ] {
        assert_eq!(pack_quantities(&quantities), packed);
    }
}

/// The example of `docs/internals/hold-batches.md`.
#[test]
fn the_documented_example_unpacks() {
    let row = row(vec![1, 2, 1, 5], vec![0, 1, 2, 4]).expect("well-formed");
    let unpacked: Vec<_> =
        row.holds().map(|(status, hold)| (hold.id.0, hold.quantity, status)).collect();
    assert_eq!(unpacked, [(7, 1, 0), (8, 2, 1), (9, 1, 2), (10, 5, 4)]);
    let Counts { holds, active_units } = row.counts();
    assert_eq!((holds, active_units), ([1, 1, 1, 0, 1], 1));
    let tokens: Vec<_> = row.holds().take(2).map(|(_, hold)| hold.token.to_string()).collect();
    assert_eq!(tokens, ["deaac0b190c0d8a66ee55d4eefd27422", "5707b56d09b119c35e9aec7f436b0b1b"]);
}
