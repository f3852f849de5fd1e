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
    event.status = "success";
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

int orders_border(stockade_engine *engine, uint64_t product_id)
{
    CHECK(nulls(engine) == 0);
    CHECK(wrong_payments(engine) == 0);
    CHECK(wrong_arrays(engine) == 0);
    return terms(engine, product_id);
}
