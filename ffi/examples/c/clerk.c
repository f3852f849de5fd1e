/* Who asked, and what the shop keeps with an order, in the events.
 *
 *   cc clerk.c -o clerk $(pkg-config --cflags --libs stockade) */
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

static const char *or_nobody(const char *text)
{
    return text == NULL ? "nobody" : text;
}

int main(int argc, char **argv)
{
    stockade_error *error = NULL;
    stockade_engine *engine = NULL, *clerk = NULL;
    check(stockade_engine_open(argc > 1 ? argv[1] : "sqlite::memory:", &engine, &error), &error);
    /* Another handle of the same engine. */
    check(stockade_engine_acting_as(engine, "clerk", &clerk, &error), &error);

    stockade_new_product new_lamp = STOCKADE_INIT(stockade_new_product);
    new_lamp.name = "Lamp";
    new_lamp.price = "19.99";
    new_lamp.stock = 5;
    stockade_product lamp = STOCKADE_INIT(stockade_product);
    check(stockade_engine_create_product(engine, &new_lamp, &lamp, NULL, &error), &error);
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = lamp.id;
    request.quantity = 2;
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    check(stockade_engine_create_hold(clerk, &request, &hold, NULL, &error), &error);
    stockade_order_request order_request = STOCKADE_INIT(stockade_order_request);
    order_request.hold_id = hold.id;
    order_request.product_id = lamp.id;
    order_request.reference = "2026-1";
    order_request.metadata = "{\"channel\":\"phone\"}";
    stockade_order order = STOCKADE_INIT(stockade_order);
    check(stockade_engine_create_order(clerk, &order_request, &order, NULL, NULL, &error), &error);
    printf("order %s made by %s\n", order.reference, order.created_by);

    /* The provider knows the shop's number of the order. */
    stockade_payment_event event = STOCKADE_INIT(stockade_payment_event);
    event.order_reference = "2026-1";
    event.status = "paid";
    event.key = "evt-1";
    check(stockade_engine_record_payment(engine, &event, NULL, NULL, &error), &error);

    stockade_events *events = NULL;
    check(stockade_engine_events_after(engine, 0, 100, &events, &error), &error);
    for (size_t i = 0; i < stockade_events_count(events); i++) {
        stockade_event told = STOCKADE_INIT(stockade_event);
        check(stockade_events_get(events, i, &told, &error), &error);
        if (told.order_id != 0)
            printf("%s by %s: %s\n", stockade_event_kind_name(told.kind), or_nobody(told.actor),
                   told.metadata);
    }
    stockade_events_free(events);
    /* Leaves the engine open, which the handle that opened it closes. */
    stockade_engine_free(clerk);
    stockade_engine_free(engine);
    return 0;
}
