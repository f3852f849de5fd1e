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
    for (size_t i = 0; i < NO_METADATA_COUNT; i++) {
        request.metadata = no_metadata[i];
        REFUSED(stockade_engine_create_hold(engine, &request, &hold, NULL, NULL));
    }
    request.metadata = NULL;
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
    stockade_hold later = STOCKADE_INIT(stockade_hold);
    CHECK(stockade_engine_extend_hold(engine, &extend, &later, NULL) == STOCKADE_CODE_OK);
    /* Only the call that makes a hold shows its token. */
    CHECK(strlen(hold.token) > 0 && strcmp(later.token, "") == 0);
    release.hold_id = hold.id;
    release.token = hold.token;
    CHECK(stockade_engine_release_hold_with(engine, &release, &later, NULL) == STOCKADE_CODE_OK);

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
    line.sku = NULL;
    for (size_t i = 0; i < NO_METADATA_COUNT; i++) {
        cart.metadata = no_metadata[i];
        REFUSED(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL));
    }
    CHECK(holds == NULL);
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

/* Each hold of a cart keeps its metadata, and so does one of a batch; a short line
 * names its SKU. */
static int metadata_and_short_lines(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_new_product new_product = STOCKADE_INIT(stockade_new_product);
    new_product.name = "Lamp";
    new_product.stock = 5;
    stockade_product lamp = STOCKADE_INIT(stockade_product), mug = lamp;
    CHECK(stockade_engine_create_product(engine, &new_product, &mug, NULL, NULL) == STOCKADE_CODE_OK);
    new_product.sku = "L\xc3\xa4mp 1";
    CHECK(stockade_engine_create_product(engine, &new_product, &lamp, NULL, NULL) == STOCKADE_CODE_OK);

    stockade_cart_line lines[] = {{.product_id = mug.id, .quantity = 2},
                                  {.sku = "L\xc3\xa4mp 1", .quantity = 2}};
    stockade_cart_request cart = STOCKADE_INIT(stockade_cart_request);
    cart.lines = lines;
    cart.line_count = 2;
    cart.metadata = "{\"table\":4}";
    stockade_holds *holds = NULL;
    CHECK(stockade_engine_create_holds(engine, &cart, &holds, NULL, NULL) == STOCKADE_CODE_OK);
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    for (size_t i = 0; i < 2; i++) {
        CHECK(stockade_holds_get(holds, i, &hold, NULL) == STOCKADE_CODE_OK);
        CHECK(strcmp(hold.metadata, "{\"table\":4}") == 0);
    }
    stockade_holds_free(holds);
    CHECK(stockade_engine_hold(engine, hold.id, &hold, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(hold.metadata, "{\"table\":4}") == 0);

    stockade_hold_request requests[] = {STOCKADE_INIT(stockade_hold_request),
                                        STOCKADE_INIT(stockade_hold_request)};
    requests[0].product_id = requests[1].product_id = mug.id;
    requests[0].quantity = requests[1].quantity = 1;
    requests[1].metadata = "{}";
    stockade_hold_results *results = NULL;
    CHECK(stockade_engine_create_hold_batch(engine, requests, 2, &results, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_hold_results_get(results, 0, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(hold.metadata, "") == 0);
    CHECK(stockade_hold_results_get(results, 1, &hold, NULL, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(hold.metadata, "{}") == 0);
    stockade_hold_results_free(results);

    lines[0].quantity = lines[1].quantity = 9;
    stockade_error *error = NULL;
    CHECK(stockade_engine_create_holds(engine, &cart, &holds, NULL, &error) ==
          STOCKADE_CODE_INSUFFICIENT_STOCK);
    CHECK(stockade_error_short_count(error) == 2);
    stockade_short_line line = STOCKADE_INIT(stockade_short_line);
    CHECK(stockade_error_short_line(error, 0, &line));
    CHECK(line.product_id == mug.id && strcmp(line.sku, "") == 0);
    CHECK(stockade_error_short_line(error, 1, &line));
    CHECK(line.product_id == lamp.id && strcmp(line.sku, "L\xc3\xa4mp 1") == 0);
    /* As a program from before SKUs has it. */
    line.struct_size = offsetof(stockade_short_line, sku);
    CHECK(stockade_error_short_line(error, 0, &line));
    CHECK(line.product_id == mug.id && strcmp(line.sku, "L\xc3\xa4mp 1") == 0);
    stockade_error_free(error);
    stockade_engine_free(engine);
    return 0;
}

int holds_border(stockade_engine *engine, uint64_t product_id)
{
    CHECK(nulls(engine) == 0);
    CHECK(wrong_structs(engine, product_id) == 0);
    CHECK(reserved(engine, product_id) == 0);
    return metadata_and_short_lines();
}
