/* Hold, order, payment.
 *
 *   cc lifecycle.c -o lifecycle $(pkg-config --cflags --libs stockade) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <stockade.h>

/* Ends the program on an error. */
static void check(stockade_code code, stockade_error *const *error)
{
    if (code != STOCKADE_CODE_OK) {
        fprintf(stderr, "%s: %s\n", stockade_code_name(code), stockade_error_message(*error));
        stockade_error_free(*error);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    stockade_error *error = NULL;
    stockade_engine *engine = NULL;
    if (stockade_abi_version() != STOCKADE_ABI_VERSION) {
        fprintf(stderr, "this library does not fit its header\n");
        return 1;
    }
    check(stockade_engine_open(argc > 1 ? argv[1] : "sqlite::memory:", &engine, &error), &error);

    stockade_new_product new_lamp = STOCKADE_INIT(stockade_new_product);
    new_lamp.name = "Lamp";
    new_lamp.price_minor = 1999;
    new_lamp.stock = 5;
    stockade_product lamp = STOCKADE_INIT(stockade_product);
    check(stockade_engine_create_product(engine, &new_lamp, &lamp, NULL, &error), &error);

    /* Holds two units for this buyer for a minute. */
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = lamp.id;
    request.quantity = 2;
    request.has_ttl = 1;
    request.ttl_us = 60 * 1000 * 1000;
    request.key = "cart-77";
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    bool replayed = false;
    check(stockade_engine_create_hold(engine, &request, &hold, &replayed, &error), &error);

    /* The hold becomes an order. */
    stockade_order_request order_request = STOCKADE_INIT(stockade_order_request);
    order_request.hold_id = hold.id;
    order_request.product_id = lamp.id;
    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_lines *lines = NULL;
    check(stockade_engine_create_order(engine, &order_request, &order, &lines, &replayed, &error),
          &error);
    for (size_t i = 0; i < stockade_order_lines_count(lines); i++) {
        stockade_order_line line = STOCKADE_INIT(stockade_order_line);
        check(stockade_order_lines_get(lines, i, &line, &error), &error);
        printf("line %" PRIu32 ": %" PRIu32 " at %s %s\n", line.line, line.quantity, line.price,
               order.currency);
    }
    stockade_order_lines_free(lines);

    /* The payment provider reports the outcome. */
    stockade_payment_event event = STOCKADE_INIT(stockade_payment_event);
    event.payment_token = order.payment_token;
    event.status = "success";
    event.amount = order.amount;
    event.currency = order.currency;
    event.key = "evt-1";
    stockade_payment_status status;
    check(stockade_engine_record_payment(engine, &event, &status, &replayed, &error), &error);

    check(stockade_engine_order(engine, order.id, &order, NULL, &error), &error);
    check(stockade_engine_product(engine, lamp.id, &lamp, &error), &error);
    printf("order %s, %" PRIu64 " sold, %" PRIu64 " left\n",
           stockade_order_status_name(order.status), lamp.sold, lamp.stock);
    stockade_engine_free(engine);
    return 0;
}
