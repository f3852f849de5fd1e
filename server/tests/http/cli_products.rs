//! `stockade product`, `order`, `payment` and `customer`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::run;
use crate::server::{program, write};

/// A folder with an empty store.
fn shop() -> TempDir {
    let folder = TempDir::new().unwrap();
    assert_eq!(run(folder.path(), &[], &["migrate"]).0, 0);
    folder
}

fn products(folder: &Path) -> Vec<Value> {
    let (code, listed, said) = run(folder, &[], &["product", "list"]);
    assert_eq!(code, 0, "{said}");
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn product_put_makes_and_replaces() {
    let folder = shop();
    let run =
        |arguments: &[&str]| run(folder.path(), &[], &[&["product", "put"], arguments].concat());
    let (code, made, said) = run(&[
        "sku:LAMP/1",
        "--name=Lamp",
        "--price=19.99",
        "--stock=7",
        "--safety-stock=2",
        "--on-sale-until=2999-01-01T00:00:00Z",
        r#"--metadata={"shelf": 4}"#,
        "--currency=USD",
    ]);
    assert_eq!(code, 0, "{said}");
    let lamp: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(
        (&lamp["sku"], &lamp["stock"], &lamp["currency"]),
        (&json!("LAMP/1"), &json!(5), &json!("USD"))
    );
    let id = lamp["id"].to_string();
    let (code, replaced, said) = run(&[&id, "--name=Lamp", "--price=5", "--if-version=1"]);
    assert_eq!(code, 0, "{said}");
    assert!(replaced.contains(r#""price":5,"stock":7"#), "{replaced}");
    assert_eq!(run(&[&id, "--name=Lamp", "--price=5", "--if-version=1"]).0, 3);
    for bad in [
        &["x", "--name=Lamp", "--price=5"][..],
        &["1", "--name=Lamp"],
        &["1", "--name=Lamp", "--price=5.001"],
    ] {
        assert_eq!(run(bad).0, 2, "{bad:?}");
    }
}

#[test]
fn an_export_can_be_imported_elsewhere_and_again() {
    let from = shop();
    let csv = "sku,name,price,currency,stock,safety_stock,on_sale_from,on_sale_until,archived,metadata\n\
               \"A,1\",\"Lamp \"\"big\"\"\nred\",19.99,,7,2,2020-01-01T00:00:00Z,,yes,\"{\"\"shelf\"\": 4.0}\"\n\
               B,Mug,100,JPY,,,,2999-01-01T00:00:00Z,,\n";
    let file = write(from.path(), "products.csv", csv);
    let import = |folder: &Path, file: &str| run(folder, &[], &["product", "import", file]);
    let (code, said, errors) = import(from.path(), &file);
    assert_eq!(
        (code, said.as_str()),
        (0, "imported 2 products: 2 made, 0 replaced, 0 lines refused\n"),
        "{errors}"
    );
    let (code, said, _) = import(from.path(), &file);
    assert_eq!(
        (code, said.as_str()),
        (0, "imported 2 products: 0 made, 2 replaced, 0 lines refused\n")
    );
    let listed = products(from.path());
    assert_eq!(
        (&listed[0]["name"], &listed[0]["archived"]),
        (&json!("Lamp \"big\"\nred"), &json!(true))
    );
    for extension in ["csv", "jsonl"] {
        let file = from.path().join(format!("all.{extension}"));
        let file = file.to_str().unwrap();
        let (code, said, _) = run(from.path(), &[], &["product", "export", file]);
        assert!(code == 0 && said.starts_with("exported 2 products"), "{said}");
        let to = shop();
        let (code, said, errors) = import(to.path(), file);
        assert!(code == 0 && said.starts_with("imported 2 products: 2 made"), "{said}{errors}");
        let copied = products(to.path());
        for (one, other) in listed.iter().zip(&copied) {
            for name in one.as_object().unwrap().keys().filter(|name| *name != "version") {
                assert_eq!(one[name], other[name], "{name} by {extension}");
            }
        }
        assert_eq!(listed.len(), copied.len());
        let (_, printed, _) =
            run(from.path(), &[], &["product", "export", "-", "--format", extension]);
        assert_eq!(printed, fs::read_to_string(file).unwrap());
        assert_eq!(
            fs::read_dir(from.path())
                .unwrap()
                .filter(|entry| {
                    entry.as_ref().unwrap().path().to_string_lossy().ends_with(".part")
                })
                .count(),
            0
        );
    }
}

/// Imports a text from stdin.
fn import_text(folder: &Path, arguments: &[&str], text: &str) -> (i32, String, String) {
    let mut child = program()
        .args([&["product", "import", "-"], arguments].concat())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn every_bad_line_is_named_and_nothing_is_imported() {
    let folder = shop();
    let lines = [
        r#"{"sku":"A","name":"Lamp","price":5,"stock":1}"#,
        "",
        r#"{"sku":"B","name":"Mug","price":5.001}"#,
        r#"{"name":"Mug","price":5}"#,
        r#"{"sku":"C","name":"Mug","price":5,"colour":1}"#,
        "not JSON",
        r#"{"sku":"A","name":"Lamp again","price":5}"#,
        r#"{"id":0,"name":"Mug","price":5}"#,
        r#"{"sku":"D","name":" ","price":5}"#,
        r#"{"sku":"E","name":"Mug","price":5,"on_sale_until":"soon"}"#,
        r#"{"sku":"F","name":"Mug","price":5}"#,
    ];
    let text = lines.join("\n");
    let says = [
        "line 3: ",
        "line 4: id is missing, or sku\n",
        "line 5: colour is unknown here; known are `id`",
        "line 6: ",
        "line 7: it is of the same product as line 1\n",
        "line 8: ",
        "line 9: a product needs a name\n",
        "line 10: on_sale_until: expected a moment",
    ];
    let (code, said, errors) = import_text(folder.path(), &[], &text);
    assert_eq!(
        (code, said.as_str()),
        (1, "imported nothing: 8 of the lines are bad\n"),
        "{errors}"
    );
    let named: Vec<_> = errors.lines().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(named.len(), says.len(), "{errors}");
    for (line, says) in named.iter().zip(says) {
        assert!(format!("{line}\n").starts_with(says), "{line}");
    }
    assert_eq!(products(folder.path()).len(), 0);
    let (code, said, _) = import_text(folder.path(), &["--skip-bad"], &text);
    assert_eq!(
        (code, said.as_str()),
        (0, "imported 2 products: 2 made, 0 replaced, 8 lines refused\n")
    );
    let names: Vec<_> = products(folder.path()).iter().map(|one| one["sku"].clone()).collect();
    assert_eq!(names, ["A", "F"]);
}

#[test]
fn bad_lines_of_csv_are_named_by_their_first_line() {
    let folder = shop();
    let import = |text: &str| import_text(folder.path(), &["--format=csv"], text);
    let text = "\u{feff}sku,name,price,stock\nA,\"two\nlines\",5,1\nB,Mug,5\nC,Mug,5,-1\nD,Mug,,1\n,Mug,5,1\n";
    let (code, _, errors) = import(text);
    assert_eq!(code, 1);
    for says in [
        "line 4: the header has 4 columns, and the line has 3\n",
        "line 5: stock: expected a whole number from 0 to 9223372036854775807, found `-1`\n",
        "line 6: price is missing\n",
        "line 7: id is missing, or sku\n",
    ] {
        assert!(errors.contains(says), "{errors}");
    }
    for (text, says) in [
        ("sku,nmae,price\n", "the column nmae is unknown; known are id, sku, name"),
        ("sku,name,name\n", "the column name is there twice"),
    ] {
        let (code, _, errors) = import(text);
        assert!(code == 2 && errors.contains(says), "{code}: {errors}");
    }
    let (code, _, errors) = run(folder.path(), &[], &["product", "import", "no-such.csv"]);
    assert!(code == 2 && errors.contains("no-such.csv"), "{errors}");
    let (code, _, errors) = run(folder.path(), &[], &["product", "import", "products.xls"]);
    assert!(code == 2 && errors.contains("--format"), "{errors}");
}

#[test]
fn a_sku_moves_between_the_products_of_a_file_and_is_not_taken_from_others() {
    let folder = shop();
    let import = |text: &str| import_text(folder.path(), &[], text);
    let line =
        |id: u32, sku: &str| format!(r#"{{"id":{id},"sku":"{sku}","name":"Mug","price":5}}"#);
    assert_eq!(import(&[line(1, "A"), line(2, "B"), line(3, "C")].join("\n")).0, 0);
    let (code, said, errors) = import(&[line(1, "B"), line(2, "D"), line(4, "A")].join("\n"));
    assert_eq!(code, 0, "{said}{errors}");
    let skus: Vec<_> = products(folder.path()).iter().map(|one| one["sku"].clone()).collect();
    assert_eq!(skus, ["B", "D", "C", "A"]);
    let (code, said, errors) = import(&[line(5, "E"), line(6, "C")].join("\n"));
    assert_eq!((code, said.as_str()), (1, "imported nothing: 1 of the lines are bad\n"));
    assert!(errors.contains("line 2: product 3 has the SKU `C` already"), "{errors}");
    assert_eq!(products(folder.path()).len(), 4);
}

#[test]
fn many_products_are_imported_within_a_minute() {
    let folder = shop();
    let count = 20_000;
    let line = |at: u32| format!("SKU-{at},Product {at},{at}.99,{at}\n");
    let text: String =
        std::iter::once("sku,name,price,stock\n".to_owned()).chain((1..=count).map(line)).collect();
    let file = write(folder.path(), "products.csv", &text);
    let start = Instant::now();
    let (code, said, errors) = run(folder.path(), &[], &["product", "import", &file]);
    assert!(code == 0 && said.starts_with("imported 20000 products: 20000 made"), "{said}{errors}");
    // A fifth of the products; the machine may be busy.
    assert!(start.elapsed().as_secs() < 60, "it took {:?}", start.elapsed());
    assert_eq!(run(folder.path(), &[], &["audit"]).0, 0);
}

#[test]
fn orders_waiting_payments_and_customers() {
    let folder = shop();
    let run = |arguments: &[&str]| {
        let (code, printed, said) = run(folder.path(), &[], arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let engine = stockade::Engine::open(&url).unwrap();
    let lamp = stockade::NewProduct::new("Lamp", "5".parse().unwrap(), 9).sku("LAMP");
    let lamp = engine.create_product(lamp).unwrap().value.id;
    let mut orders = Vec::new();
    for customer in ["ada", "bob"] {
        let hold = engine
            .create_hold(stockade::HoldRequest::new(lamp, 1).customer(customer))
            .unwrap()
            .value;
        orders.push(engine.create_order(stockade::OrderRequest::new(hold.id, lamp)).unwrap().value);
    }
    engine.cancel_order(orders[1].id).unwrap();
    for (order, key) in [(7_000, Some("evt-1")), (7_001, None)] {
        let mut event = stockade::PaymentEvent::for_order(order, stockade::Outcome::Success);
        event.key = key.map(str::to_owned);
        engine.record_payment(&event).unwrap();
    }
    engine.close().unwrap();
    let ids =
        |lines: &[Value]| lines.iter().map(|line| line["id"].as_u64().unwrap()).collect::<Vec<_>>();
    let all = run(&["order", "list"]);
    assert_eq!(ids(&all), [orders[0].id.0, orders[1].id.0]);
    assert_eq!(all[0]["customer"], "ada");
    assert!(all.iter().all(|order| order.get("payment_token").is_none()));
    assert_eq!(
        ids(&run(&["order", "list", "--status=cancelled", "--product=sku:LAMP"])),
        [orders[1].id.0]
    );
    assert_eq!(run(&["order", "list", "--customer=eve"]).len(), 0);
    assert_eq!(run(&["order", "list", "--disposition=needs_refund"]).len(), 0);
    assert_eq!(run(&["order", "list", "--count=1"]).len(), 1);
    assert_eq!(run(&["hold", "list", "--customer=ada", "--product=sku:LAMP"]).len(), 1);
    assert_eq!(run(&["hold", "list", "--created-before=2020-01-01T00:00:00Z"]).len(), 0);
    let waiting = run(&["payment", "waiting"]);
    assert_eq!((&waiting[0]["key"], waiting.len()), (&json!("evt-1"), 2));
    assert_eq!(run(&["payment", "remove", "evt-1"])[0]["order_id"], 7_000);
    // As it is printed, without its quotation marks.
    let derived = waiting[1]["key"].to_string();
    assert_eq!(run(&["payment", "remove", derived.trim_matches('"')])[0]["order_id"], 7_001);
    assert_eq!(run(&["payment", "waiting"]).len(), 0);
    assert_eq!(run(&["customer", "erase", "ada"])[0], json!({ "holds": 1, "orders": 1 }));
    assert_eq!(run(&["order", "list", "--customer=ada"]).len(), 0);
}
