/* Orders and payments: what is missing, what contradicts itself, and counts beyond
 * an array. */
#include "border.h"

static int nulls(stockade_engine *engine)
{
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_lines *order_lines = NULL;
    REFUSED(stockade_engine_create_order(engine, NULL, &order, NULL, NULL, NULL));
    REFUSED(stockade_engine_order(NULL, 1, &order, NULL, NULL));
    REFUSED(stockade_engine_order(engine, 1, NULL, &order_lines, NULL));
    CHECK(order_lines == NULL);
    REFUSED(stockade_engine_order_by_reference(engine, NULL, &order, NULL, NULL));
    REFUSED(stockade_engine_order_by_payment(engine, "stripe", NULL, &order, NULL, NULL));
    REFUSED(stockade_engine_order_by_payment(engine, NULL, "pi", &order, NULL, NULL));
    REFUSED(stockade_engine_extend_order(engine, NULL, &order, NULL, NULL));
    REFUSED(stockade_engine_cancel_order(engine, 1, NULL, NULL, NULL, NULL));
    REFUSED(stockade_engine_refund_order(engine, NULL, &order, NULL, NULL, NULL));
    REFUSED(stockade_engine_restock_order(engine, NULL, &order, NULL, NULL, NULL));
    REFUSED(stockade_engine_set_payment_reference(engine, 1, NULL, "pi", &order, NULL, NULL));
    REFUSED(stockade_engine_set_payment_reference(engine, 1, "stripe", NULL, &order, NULL, NULL));
    stockade_order_line order_line = STOCKADE_INIT(stockade_order_line);
    REFUSED(stockade_order_lines_get(NULL, 0, &order_line, NULL));
    CHECK(stockade_order_lines_count(NULL) == 0);
    stockade_order_lines_free(NULL);
    REFUSED(stockade_engine_record_payment(engine, NULL, NULL, NULL, NULL));
    return 0;
}

static int wrong_payments(stockade_engine *engine)
{
    stockade_payment_event event = STOCKADE_INIT(stockade_payment_event);
    stockade_error *error = NULL;
    event.status = "success";
    REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, &error));
    CHECK(strstr(stockade_error_message(error), "order_reference") != NULL);
    stockade_error_free(error);
    const char *references[] = {"", "\xff"};
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        event.order_reference = references[i];
        REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
        event.order_reference = NULL;
        event.payment_reference = references[i];
        REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
        event.payment_reference = NULL;
    }
    event.order_id = 1;
    REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
    event.has_order_id = 1;
    event.currency = "EUR";
    REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
    const char *amounts[] = {"", "-1", "1e2", "1,5", "\xff"};
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        event.amount = amounts[i];
        REFUSED(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL));
    }
    return 0;
}

/* A count that is too large is rejected unread, an array that is empty or missing, too. */
static int wrong_arrays(stockade_engine *engine)
{
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    stockade_ordered_hold order_holds[] = {{1, 0, NULL, NULL}};
    stockade_refund_request refund = STOCKADE_INIT(stockade_refund_request);
    stockade_restock_request restock = STOCKADE_INIT(stockade_restock_request);
    stockade_line_units units[] = {{1, 1}};
    refund.order_id = restock.order_id = 1;
    uint64_t counts[] = {STOCKADE_ORDER_LINES_MAX + 1, UINT64_C(1) << 62, UINT64_MAX, 0};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        ordered.holds = order_holds;
        refund.lines = restock.lines = units;
        ordered.hold_count = refund.line_count = restock.line_count = counts[i];
        REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
        REFUSED(stockade_engine_refund_order(engine, &refund, &order, NULL, NULL, NULL));
        REFUSED(stockade_engine_restock_order(engine, &restock, &order, NULL, NULL, NULL));
    }
    ordered.hold_count = refund.line_count = restock.line_count = 1;
    ordered.hold_id = 1;
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    ordered.hold_id = 0;
    ordered.sku = "LAMP";
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    ordered.sku = NULL;
    order_holds[0].product_id = 1;
    order_holds[0].sku = "LAMP";
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    ordered.holds = NULL;
    refund.lines = restock.lines = NULL;
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    REFUSED(stockade_engine_refund_order(engine, &refund, &order, NULL, NULL, NULL));
    REFUSED(stockade_engine_restock_order(engine, &restock, &order, NULL, NULL, NULL));
    refund.line_count = 0;
    refund.restock = 2;
    REFUSED(stockade_engine_refund_order(engine, &refund, &order, NULL, NULL, NULL));
    return 0;
}

static int terms(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = product_id;
    request.quantity = 1;
    CHECK(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    ordered.hold_id = hold.id;
    ordered.product_id = product_id;
    ordered.has_payment_ttl = 2;
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    ordered.has_payment_ttl = 0;
    ordered.payment_ttl_us = 1;
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    ordered.payment_ttl_us = 0;
    for (size_t i = 0; i < NO_METADATA_COUNT; i++) {
        ordered.metadata = no_metadata[i];
        REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    }
    ordered.metadata = NULL;
    ordered.sku = "LAMP";
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    ordered.hold_id = ordered.product_id = 0;
    ordered.cart_id = 1;
    REFUSED(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL));
    stockade_refund_request refund = STOCKADE_INIT(stockade_refund_request);
    refund.order_id = refund.reserved = 1;
    REFUSED(stockade_engine_refund_order(engine, &refund, &order, NULL, NULL, NULL));
    CHECK(stockade_engine_release_hold(engine, hold.id, &hold, NULL) == STOCKADE_CODE_OK);
    return 0;
}

/* A payment that names its order by the shop's number waits for it, and one by the
 * provider's name of the payment finds the order that it is tied to. */
static int references(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_payment_status status = STOCKADE_PAYMENT_STATUS_UNKNOWN;
    stockade_payment_event event = STOCKADE_INIT(stockade_payment_event);
    event.status = "paid";
    event.order_reference = "2026-1";
    event.key = "one";
    CHECK(stockade_engine_record_payment(engine, &event, &status, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(status == STOCKADE_PAYMENT_STATUS_WAITING);
    stockade_waiting_payments *page = NULL;
    stockade_waiting_payment waiting = STOCKADE_INIT(stockade_waiting_payment);
    CHECK(stockade_engine_waiting_payments(engine, NULL, 10, &page, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_waiting_payments_get(page, 0, &waiting, NULL) == STOCKADE_CODE_OK);
    CHECK(waiting.order_id == 0 && waiting.by_token == 0);
    CHECK(strcmp(waiting.order_reference, "2026-1") == 0);
    CHECK(strcmp(waiting.payment_reference, "") == 0);
    stockade_waiting_payments_free(page);

    stockade_new_product new_product = STOCKADE_INIT(stockade_new_product);
    new_product.name = "Lamp";
    new_product.stock = 1;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &new_product, &product, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.product_id = product.id;
    wanted.quantity = 1;
    CHECK(stockade_engine_create_hold(engine, &wanted, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    ordered.hold_id = hold.id;
    ordered.product_id = product.id;
    ordered.reference = "2026-1";
    CHECK(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(order.status == STOCKADE_ORDER_STATUS_PAID);
    CHECK(strcmp(order.created_by, "") == 0 && strcmp(order.metadata, "") == 0);

    CHECK(stockade_engine_set_payment_reference(engine, order.id, "stripe", "pi_1", &order, NULL,
                                                NULL) == STOCKADE_CODE_OK);
    event.status = "chargeback";
    event.order_reference = NULL;
    event.payment_reference = "stripe/pi_1";
    event.key = "two";
    CHECK(stockade_engine_record_payment(engine, &event, &status, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(status == STOCKADE_PAYMENT_STATUS_RECORDED);
    stockade_events *events = NULL;
    stockade_event last = STOCKADE_INIT(stockade_event);
    CHECK(stockade_engine_events_after(engine, 0, 100, &events, NULL) == STOCKADE_CODE_OK);
    size_t count = stockade_events_count(events);
    CHECK(stockade_events_get(events, count - 1, &last, NULL) == STOCKADE_CODE_OK);
    CHECK(last.kind == STOCKADE_EVENT_KIND_PAYMENT_DISPUTED && last.order_id == order.id);
    CHECK(strcmp(last.reference, "2026-1") == 0);
    stockade_events_free(events);
    CHECK(stockade_engine_order(engine, order.id, &order, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(order.status == STOCKADE_ORDER_STATUS_PAID);
    stockade_engine_free(engine);
    return 0;
}

int orders_border(stockade_engine *engine, uint64_t product_id)
{
    CHECK(nulls(engine) == 0);
    CHECK(wrong_payments(engine) == 0);
    CHECK(wrong_arrays(engine) == 0);
    CHECK(terms(engine, product_id) == 0);
    return references();
}
