/* Lists of holds and orders, waiting payments, and the erasure of a customer. */
#include "border.h"

static int nulls(stockade_engine *engine)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_lines *lines = NULL;
    stockade_waiting_payment payment = STOCKADE_INIT(stockade_waiting_payment);
    stockade_erased erased = STOCKADE_INIT(stockade_erased);
    stockade_hold_query hold_query = STOCKADE_INIT(stockade_hold_query);
    stockade_order_query order_query = STOCKADE_INIT(stockade_order_query);
    stockade_hold_page *holds = NULL;
    stockade_order_page *orders = NULL;
    stockade_waiting_payments *payments = NULL;
    hold_query.limit = order_query.limit = 10;
    REFUSED(stockade_engine_holds(NULL, &hold_query, &holds, NULL));
    REFUSED(stockade_engine_holds(engine, NULL, &holds, NULL));
    REFUSED(stockade_engine_holds(engine, &hold_query, NULL, NULL));
    REFUSED(stockade_hold_page_get(NULL, 0, &hold, NULL));
    REFUSED(stockade_engine_orders(NULL, &order_query, &orders, NULL));
    REFUSED(stockade_engine_orders(engine, NULL, &orders, NULL));
    REFUSED(stockade_engine_orders(engine, &order_query, NULL, NULL));
    REFUSED(stockade_order_page_get(NULL, 0, &order, &lines, NULL));
    CHECK(holds == NULL && orders == NULL && lines == NULL);
    REFUSED(stockade_engine_waiting_payments(NULL, NULL, 10, &payments, NULL));
    REFUSED(stockade_engine_waiting_payments(engine, NULL, 10, NULL, NULL));
    REFUSED(stockade_engine_waiting_payments(engine, "\xff", 10, &payments, NULL));
    REFUSED(stockade_waiting_payments_get(NULL, 0, &payment, NULL));
    REFUSED(stockade_engine_remove_waiting_payment(engine, NULL, &payment, NULL));
    REFUSED(stockade_engine_remove_waiting_payment(engine, "k", NULL, NULL));
    REFUSED(stockade_engine_erase_customer(engine, NULL, &erased, NULL));
    REFUSED(stockade_engine_erase_customer(engine, "ann", NULL, NULL));
    REFUSED(stockade_engine_erase_customer(NULL, "ann", &erased, NULL));

    stockade_hold_page_free(NULL);
    stockade_order_page_free(NULL);
    stockade_waiting_payments_free(NULL);
    CHECK(stockade_hold_page_count(NULL) == 0 && stockade_hold_page_next(NULL) == 0);
    CHECK(stockade_order_page_count(NULL) == 0 && stockade_order_page_next(NULL) == 0);
    CHECK(stockade_waiting_payments_count(NULL) == 0);
    CHECK(stockade_waiting_payments_next(NULL) == NULL);
    CHECK(strcmp(stockade_outcome_name(STOCKADE_OUTCOME_NEUTRAL), "neutral") == 0);
    CHECK(stockade_outcome_name(0) == NULL);
    return 0;
}

static int wrong_queries(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold_page *holds = NULL;
    stockade_order_page *orders = NULL;
    stockade_waiting_payments *payments = NULL;
    stockade_hold_query hold_query = STOCKADE_INIT(stockade_hold_query);
    stockade_order_query order_query = STOCKADE_INIT(stockade_order_query);
    uint32_t limits[] = {0, 1001, UINT32_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        hold_query.limit = order_query.limit = limits[i];
        REFUSED(stockade_engine_holds(engine, &hold_query, &holds, NULL));
        REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
        REFUSED(stockade_engine_waiting_payments(engine, NULL, limits[i], &payments, NULL));
    }
    hold_query.limit = order_query.limit = 10;
    hold_query.product_id = order_query.product_id = product_id;
    hold_query.sku = order_query.sku = "LAMP";
    REFUSED(stockade_engine_holds(engine, &hold_query, &holds, NULL));
    REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
    hold_query.sku = order_query.sku = NULL;
    hold_query.status = order_query.status = 99;
    REFUSED(stockade_engine_holds(engine, &hold_query, &holds, NULL));
    REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
    hold_query.status = order_query.status = 0;
    order_query.disposition = 99;
    REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
    order_query.disposition = 0;
    hold_query.reserved = 1;
    REFUSED(stockade_engine_holds(engine, &hold_query, &holds, NULL));
    hold_query.reserved = 0;
    hold_query.customer = order_query.customer = "\xff";
    REFUSED(stockade_engine_holds(engine, &hold_query, &holds, NULL));
    REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
    hold_query.customer = order_query.customer = NULL;
    order_query.reference = "\xff";
    REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
    hold_query.struct_size = order_query.struct_size = 8;
    REFUSED(stockade_engine_holds(engine, &hold_query, &holds, NULL));
    REFUSED(stockade_engine_orders(engine, &order_query, &orders, NULL));
    CHECK(holds == NULL && orders == NULL && payments == NULL);
    return 0;
}

/* A page is read in any order, as far as it goes, and shows no token. */
static int pages(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    request.sku = "LAMP 1";
    request.stock = 9;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.sku = "LAMP 1";
    wanted.quantity = 1;
    wanted.customer = "ann";
    for (int i = 0; i < 3; i++)
        CHECK(stockade_engine_create_hold(engine, &wanted, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(hold.sku, "LAMP 1") == 0 && strcmp(hold.customer, "ann") == 0);
    CHECK(hold.product_id == product.id && strlen(hold.token) > 0);

    stockade_hold_query query = STOCKADE_INIT(stockade_hold_query);
    query.limit = 2;
    query.sku = "LAMP 1";
    query.status = STOCKADE_HOLD_STATUS_ACTIVE;
    query.customer = "ann";
    stockade_hold_page *page = NULL;
    CHECK(stockade_engine_holds(engine, &query, &page, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_hold_page_count(page) == 2 && stockade_hold_page_next(page) != 0);
    query.after = stockade_hold_page_next(page);
    stockade_hold listed = STOCKADE_INIT(stockade_hold);
    CHECK(stockade_hold_page_get(page, 1, &listed, NULL) == STOCKADE_CODE_OK);
    CHECK(listed.id == query.after && strcmp(listed.token, "") == 0);
    CHECK(strcmp(listed.customer, "ann") == 0 && strcmp(listed.sku, "LAMP 1") == 0);
    REFUSED(stockade_hold_page_get(page, 2, &listed, NULL));
    REFUSED(stockade_hold_page_get(page, 0, NULL, NULL));
    stockade_hold_page_free(page);
    CHECK(stockade_engine_holds(engine, &query, &page, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_hold_page_count(page) == 1 && stockade_hold_page_next(page) == 0);
    CHECK(stockade_hold_page_get(page, 0, &listed, NULL) == STOCKADE_CODE_OK);
    CHECK(listed.id == hold.id);
    stockade_hold_page_free(page);

    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    ordered.hold_id = hold.id;
    ordered.sku = "LAMP 1";
    CHECK(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(order.customer, "ann") == 0 && strlen(order.payment_token) > 0);
    stockade_order_query orders_query = STOCKADE_INIT(stockade_order_query);
    orders_query.limit = 1;
    orders_query.customer = "ann";
    orders_query.status = STOCKADE_ORDER_STATUS_PENDING_PAYMENT;
    stockade_order_page *orders = NULL;
    CHECK(stockade_engine_orders(engine, &orders_query, &orders, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_order_page_count(orders) == 1);
    stockade_order read = STOCKADE_INIT(stockade_order);
    stockade_order_lines *lines = NULL;
    stockade_order_line line = STOCKADE_INIT(stockade_order_line);
    CHECK(stockade_order_page_get(orders, 0, &read, &lines, NULL) == STOCKADE_CODE_OK);
    CHECK(read.id == order.id && strcmp(read.payment_token, "") == 0);
    CHECK(stockade_order_lines_count(lines) == 1);
    CHECK(stockade_order_lines_get(lines, 0, &line, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(line.sku, "LAMP 1") == 0);
    stockade_order_lines_free(lines);
    CHECK(stockade_order_page_get(orders, 0, &read, NULL, NULL) == STOCKADE_CODE_OK);
    REFUSED(stockade_order_page_get(orders, 1, &read, &lines, NULL));
    CHECK(lines == NULL);
    stockade_order_page_free(orders);
    stockade_engine_free(engine);
    return 0;
}

/* A payment event that comes before its order is listed, and taken out once. */
static int waiting(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_payment_event event = STOCKADE_INIT(stockade_payment_event);
    event.has_order_id = 1;
    event.order_id = 7;
    event.status = "paid";
    event.amount = "19.90";
    event.currency = "EUR";
    const char *keys[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        event.key = keys[i];
        CHECK(stockade_engine_record_payment(engine, &event, NULL, NULL, NULL) == STOCKADE_CODE_OK);
    }
    stockade_waiting_payments *page = NULL;
    stockade_waiting_payment payment = STOCKADE_INIT(stockade_waiting_payment);
    CHECK(stockade_engine_waiting_payments(engine, NULL, 2, &page, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_waiting_payments_count(page) == 2);
    CHECK(stockade_waiting_payments_get(page, 0, &payment, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(payment.key, "one") == 0 && payment.order_id == 7 && payment.by_token == 0);
    CHECK(payment.outcome == STOCKADE_OUTCOME_SUCCESS && strcmp(payment.amount, "19.9") == 0);
    CHECK(strcmp(payment.currency, "EUR") == 0 && strcmp(payment.payment_reference, "") == 0);
    CHECK(payment.received_at_us < payment.ends_at_us);
    REFUSED(stockade_waiting_payments_get(page, 2, &payment, NULL));
    CHECK(stockade_waiting_payments_next(page) != NULL);
    stockade_waiting_payments *second = NULL;
    CHECK(stockade_engine_waiting_payments(engine, stockade_waiting_payments_next(page), 2, &second,
                                           NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_waiting_payments_count(second) == 1);
    CHECK(stockade_waiting_payments_next(second) == NULL);
    stockade_waiting_payments_free(second);
    stockade_waiting_payments_free(page);
    CHECK(stockade_engine_remove_waiting_payment(engine, "two", &payment, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(payment.key, "two") == 0);
    CHECK(stockade_engine_remove_waiting_payment(engine, "two", &payment, NULL) ==
          STOCKADE_CODE_NOT_FOUND);
    stockade_engine_free(engine);
    return 0;
}

int lists_border(stockade_engine *engine, uint64_t product_id)
{
    CHECK(nulls(engine) == 0);
    CHECK(wrong_queries(engine, product_id) == 0);
    CHECK(pages() == 0);
    return waiting();
}
