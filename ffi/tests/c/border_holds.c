/* Holds and carts: wrong structs, wrong texts, and counts beyond an array. */
#include "border.h"

static int nulls(stockade_engine *engine)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_holds *holds = NULL;
    REFUSED(stockade_engine_create_hold(engine, NULL, &hold, NULL, NULL));
    REFUSED(stockade_engine_create_holds(engine, NULL, &holds, NULL, NULL));
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    cart.line_count = 1;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    REFUSED(stockade_holds_get(NULL, 0, &hold, NULL));
    REFUSED(stockade_engine_release_hold(NULL, 1, &hold, NULL));
    REFUSED(stockade_engine_release_hold_with(engine, NULL, &hold, NULL));
    REFUSED(stockade_engine_extend_hold(engine, NULL, &hold, NULL));
    REFUSED(stockade_engine_hold(engine, 1, NULL, NULL));
    stockade_holds_free(NULL);
    CHECK(stockade_holds_count(NULL) == 0);
    return 0;
}

static int wrong_structs(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_hold_request request = {0};
    request.product_id = product_id;
    request.quantity = 1;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.struct_size = sizeof request;
    request.ttl_us = 1;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.has_ttl = 2;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.has_ttl = request.ttl_us = 0;
    request.key = "\xff";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.key = NULL;
    request.customer = "\xff";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.customer = "";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.customer = NULL;
    request.sku = "\xff";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.sku = "LAMP";
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    request.sku = NULL;
    stockade_release_request release = STOCKADE_INIT(stockade_release_request);
    release.hold_id = 1;
    release.token = "mine";
    REFUSED(stockade_engine_release_hold_with(engine, &release, &hold, NULL));
    hold.struct_size = 0;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    hold.struct_size = sizeof hold;
    stockade_product product = STOCKADE_INIT(stockade_product);
    CHECK(stockade_engine_product(engine, product_id, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(product.held == 0);

    /* What a program from before customers and tokens has behind its structs
     * is not looked at. */
    request.struct_size = offsetof(stockade_hold_request, customer);
    request.customer = "\xff";
    CHECK(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_extend_request extend = STOCKADE_INIT(stockade_extend_request);
    extend.struct_size = offsetof(stockade_extend_request, token);
    extend.hold_id = hold.id;
    extend.token = "\xff";
    CHECK(stockade_engine_extend_hold(engine, &extend, &hold, NULL) == STOCKADE_CODE_OK);
    release.hold_id = hold.id;
    release.token = hold.token;
    CHECK(stockade_engine_release_hold_with(engine, &release, &hold, NULL) == STOCKADE_CODE_OK);

    /* A count this large is rejected unread. */
    stockade_cart_line line = {.product_id = product_id, .quantity = 1};
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    stockade_holds *holds = NULL;
    cart.lines = &line;
    cart.line_count = STOCKADE_CART_LINES_MAX + 1;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    cart.line_count = UINT64_MAX;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    cart.line_count = 1;
    line.sku = "LAMP";
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    return 0;
}

/* Reserved fields must be 0 in every struct. */
static int reserved(stockade_engine *engine, uint64_t product_id)
{
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    stockade_holds *holds = NULL;
    stockade_hold_request request = STOCKADE_INIT(stockade_hold_request);
    request.product_id = product_id;
    request.quantity = 1;
    request.reserved = UINT32_MAX;
    REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    stockade_cart_line lines[] = {{product_id, 1, 0, NULL}, {product_id, 1, 2, NULL}};
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    cart.lines = lines;
    cart.line_count = 2;
    REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    CHECK(holds == NULL);

    request.reserved = 0;
    CHECK(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_release_request release = STOCKADE_INIT(stockade_release_request);
    release.hold_id = hold.id;
    release.reserved = 1;
    REFUSED(stockade_engine_release_hold_with(engine, &release, &hold, NULL));
    release.reserved = 0;
    CHECK(stockade_engine_release_hold_with(engine, &release, &hold, NULL) == STOCKADE_CODE_OK);
    return 0;
}

int holds_border(stockade_engine *engine, uint64_t product_id)
{
    CHECK(nulls(engine) == 0);
    CHECK(wrong_structs(engine, product_id) == 0);
    return reserved(engine, product_id);
}
