//! Where a part of an answer stands in C.

/// Returns C code for a field of an answer, and whether it is a text.
pub(super) fn field_of(name: &str, call: &str, path: &[&str]) -> (String, bool) {
    let a = format!("a_{name}");
    let (place, field) = match (call, path) {
        ("error", path) => return field_of_error(&format!("{a}.error"), path),
        ("create_hold_batch", ["results", index, path @ ..]) => {
            let result = format!("{a}.results[{index}]");
            match path {
                ["code"] => return (format!("result_code(&{result})"), true),
                ["replayed"] => return (format!("result_replayed(&{result})"), false),
                ["available" | "moment"] | ["short", ..] => {
                    return field_of_error(&format!("{result}.error"), path);
                }
                [field] => (format!("{result}.hold"), *field),
                other => panic!("no field {other:?}"),
            }
        }
        (_, ["replayed"]) => return (format!("{a}.replayed"), false),
        ("record_payment", ["status"]) => {
            return (format!("stockade_payment_status_name({a}.payment)"), true);
        }
        ("create_holds" | "cart" | "release_cart" | "extend_cart", path) => match path {
            ["holds", index, field] => (format!("{a}.holds[{index}]"), *field),
            ["cart_id"] => return (format!("{a}.cart.id"), false),
            ["token"] => return (format!("{a}.cart.token"), true),
            other => panic!("no field {other:?}"),
        },
        ("put_product", ["created"]) => return (format!("{a}.created"), false),
        (call, [field]) if is_product(call) => (format!("{a}.product"), *field),
        ("holds", ["items", index, field]) => (format!("{a}.holds[{index}]"), *field),
        ("orders", ["items", index, "lines", line, field]) => {
            (format!("{a}.orders[{index}].lines[{line}]"), *field)
        }
        ("orders", ["items", index, field]) => (format!("{a}.orders[{index}].order"), *field),
        ("waiting_payments", ["items", index, field]) => (format!("{a}.payments[{index}]"), *field),
        ("remove_waiting_payment", [field]) => (format!("{a}.waiting"), *field),
        ("erase_customer", [field]) => (format!("{a}.erased"), *field),
        ("create_hold" | "hold" | "release_hold" | "extend_hold" | "change_quantity", [field]) => {
            (format!("{a}.hold"), *field)
        }
        (call, ["lines", index, field]) if is_order(call) => {
            (format!("{a}.lines[{index}]"), *field)
        }
        (call, [field]) if is_order(call) => (format!("{a}.order"), *field),
        ("sweep", [field]) => (format!("{a}.sweep"), *field),
        other => panic!("no field {other:?}"),
    };
    match field {
        "status" if is_order(call) => (format!("stockade_order_status_name({place}.status)"), true),
        "status" => (format!("stockade_hold_status_name({place}.status)"), true),
        "payment_disposition" => {
            (format!("stockade_payment_disposition_name({place}.payment_disposition)"), true)
        }
        "amount" | "refunded_amount" | "price" | "currency" | "reference" | "sku" | "customer"
        | "metadata" | "key" | "payment_reference" | "order_reference" | "token"
        | "payment_token" | "name" | "created_by" => (format!("{place}.{field}"), true),
        "outcome" => (format!("stockade_outcome_name({place}.outcome)"), true),
        "expires_at" | "created_at" | "updated_at" | "pay_until" | "on_sale_from"
        | "on_sale_until" | "received_at" | "ends_at" => (format!("{place}.{field}_us"), false),
        "qty" => (format!("{place}.quantity"), false),
        _ => (format!("{place}.{field}"), false),
    }
}

/// Whether a call returns a product.
fn is_product(call: &str) -> bool {
    call.contains("product") || call == "adjust_stock"
}

/// Whether a call returns orders and their lines.
fn is_order(call: &str) -> bool {
    call.contains("order") || call == "set_payment_reference"
}

/// Returns C code for a part of an error object, and whether it is a text.
fn field_of_error(error: &str, path: &[&str]) -> (String, bool) {
    let number = match path {
        ["holds", index, "code"] => {
            return (format!("stockade_code_name(error_hold({error}, {index}).code)"), true);
        }
        ["holds", index, field] => format!("error_hold({error}, {index}).{field}"),
        ["short", index, "sku"] => return (format!("error_short({error}, {index}).sku"), true),
        ["short", index, field] => format!("error_short({error}, {index}).{field}"),
        ["available"] => format!("error_available({error})"),
        ["order_id"] => format!("error_order_id({error})"),
        ["product_id"] => format!("error_product_id({error})"),
        ["moment"] => format!("error_moment({error})"),
        ["replayed"] => format!("stockade_error_replayed({error})"),
        other => panic!("no field {other:?}"),
    };
    (number, false)
}
