/* Handles of one engine for its users: what they are named, and who closes it. */
#include "border.h"

static int wrong_names(stockade_engine *engine)
{
    stockade_engine *acting = NULL;
    stockade_error *error = NULL;
    REFUSED(stockade_engine_acting_as(NULL, "clerk", &acting, NULL));
    REFUSED(stockade_engine_acting_as(engine, "clerk", NULL, NULL));
    REFUSED(stockade_engine_acting_as(engine, NULL, &acting, &error));
    CHECK(strstr(stockade_error_message(error), "name") != NULL);
    stockade_error_free(error);
    char longest[257] = {0};
    memset(longest, 'a', 256);
    const char *names[] = {"", "a\nb", "\xff", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        acting = engine;
        REFUSED(stockade_engine_acting_as(engine, names[i], &acting, NULL));
        CHECK(acting == NULL);
    }
    longest[255] = 0;
    CHECK(stockade_engine_acting_as(engine, longest, &acting, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(acting, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(acting);
    return 0;
}

/* Reads the last event. The list lives on: the texts of the event are its. */
static int last_event(stockade_engine *engine, stockade_events **events, stockade_event *event)
{
    CHECK(stockade_engine_events_after(engine, 0, 100, events, NULL) == STOCKADE_CODE_OK);
    size_t count = stockade_events_count(*events);
    CHECK(count > 0);
    CHECK(stockade_events_get(*events, count - 1, event, NULL) == STOCKADE_CODE_OK);
    return 0;
}

/* Events and orders name who asked, beside what the shop keeps with them. */
static int named(void)
{
    stockade_engine *engine = NULL, *clerk = NULL, *till = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_acting_as(engine, "cl\xc3\xa4rk", &clerk, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_acting_as(clerk, "till 1", &till, NULL) == STOCKADE_CODE_OK);
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Lamp";
    request.stock = 9;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_create_product(engine, &request, &product, NULL, NULL) == STOCKADE_CODE_OK);

    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.product_id = product.id;
    wanted.quantity = 1;
    wanted.metadata = "{\"row\" : 1.0}";
    CHECK(stockade_engine_create_hold(clerk, &wanted, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(hold.metadata, "{\"row\" : 1.0}") == 0);
    stockade_events *events = NULL;
    stockade_event event = STOCKADE_INIT(stockade_event);
    CHECK(last_event(till, &events, &event) == 0);
    CHECK(event.kind == STOCKADE_EVENT_KIND_HOLD_CREATED && event.reference == NULL);
    CHECK(strcmp(event.actor, "cl\xc3\xa4rk") == 0);
    CHECK(strcmp(event.metadata, "{\"row\" : 1.0}") == 0);
    stockade_events_free(events);

    stockade_order order = STOCKADE_INIT(stockade_order);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    ordered.hold_id = hold.id;
    ordered.product_id = product.id;
    ordered.reference = "2026-1";
    ordered.metadata = "{\"gift\":true}";
    CHECK(stockade_engine_create_order(till, &ordered, &order, NULL, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(order.created_by, "till 1") == 0);
    CHECK(strcmp(order.metadata, "{\"gift\":true}") == 0);
    CHECK(stockade_engine_cancel_order(engine, order.id, "changed my mind", &order, NULL, NULL) ==
          STOCKADE_CODE_OK);
    CHECK(strcmp(order.created_by, "till 1") == 0);
    CHECK(last_event(engine, &events, &event) == 0);
    CHECK(event.kind == STOCKADE_EVENT_KIND_ORDER_CANCELLED && event.actor == NULL);
    CHECK(strcmp(event.reference, "2026-1") == 0 && strcmp(event.reason, "changed my mind") == 0);
    CHECK(strcmp(event.metadata, "{\"gift\":true}") == 0);

    /* A program from before actors: what is behind its struct stays. */
    stockade_event older = STOCKADE_INIT(stockade_event);
    older.struct_size = offsetof(stockade_event, actor);
    older.actor = "mine";
    CHECK(stockade_events_get(events, 0, &older, NULL) == STOCKADE_CODE_OK);
    CHECK(older.kind == STOCKADE_EVENT_KIND_PRODUCT_CREATED && strcmp(older.actor, "mine") == 0);
    stockade_events_free(events);
    stockade_engine_free(till);
    stockade_engine_free(clerk);
    stockade_engine_free(engine);
    return 0;
}

/* Handles are freed in any order. Freeing the handle that opened the engine closes
 * it; an acting handle closes it by stockade_engine_close alone. */
static int owners(void)
{
    stockade_engine *engine = NULL, *clerk = NULL, *till = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_acting_as(engine, "clerk", &clerk, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_acting_as(clerk, "till", &till, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(clerk);
    CHECK(stockade_engine_ping(engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(till, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(engine);
    CHECK(stockade_engine_ping(till, NULL) == STOCKADE_CODE_MISUSE);
    CHECK(stockade_engine_close(till, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(till);

    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_acting_as(engine, "clerk", &clerk, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_close(clerk, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(clerk, NULL) == STOCKADE_CODE_MISUSE);
    CHECK(stockade_engine_ping(engine, NULL) == STOCKADE_CODE_MISUSE);
    stockade_engine_free(clerk);
    stockade_engine_free(engine);
    return 0;
}

/* A shared engine stays open: neither close nor free of a handle closes it. */
static int shared(void)
{
    stockade_options *options = NULL;
    stockade_engine *engine = NULL, *clerk = NULL;
    CHECK(stockade_options_new(&options, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_options_set(options, "store", "sqlite::memory:", NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_open_shared(options, &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_acting_as(engine, "clerk", &clerk, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(engine);
    CHECK(stockade_engine_close(clerk, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(clerk, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(clerk);
    CHECK(stockade_engine_open_shared(options, &engine, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_engine_ping(engine, NULL) == STOCKADE_CODE_OK);
    stockade_engine_free(engine);
    stockade_options_free(options);
    return 0;
}

int actors_border(stockade_engine *engine)
{
    CHECK(wrong_names(engine) == 0);
    CHECK(named() == 0);
    CHECK(owners() == 0);
    return shared();
}
