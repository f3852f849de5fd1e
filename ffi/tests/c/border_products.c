/* Products and their stock. */
#include "border.h"

static int nulls(stockade_engine *engine)
{
    stockade_error *error = NULL;
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_products *products = NULL;
    REFUSED(stockade_engine_product(NULL, 1, &product, &error));
    CHECK(error != NULL && strlen(stockade_error_message(error)) > 0);
    stockade_error_free(error);
    REFUSED(stockade_engine_product(engine, 1, NULL, NULL));
    REFUSED(stockade_engine_products(NULL, 0, 1, &products, NULL));
    REFUSED(stockade_engine_products(engine, 0, 1, NULL, NULL));
    REFUSED(stockade_products_get(NULL, 0, &product, NULL));
    REFUSED(stockade_engine_create_product(engine, NULL, &product, NULL, NULL));
    REFUSED(stockade_engine_adjust_stock(engine, NULL, &product, NULL, NULL));
    stockade_products_free(NULL);
    CHECK(stockade_products_count(NULL) == 0 && stockade_products_next(NULL) == 0);
    return 0;
}

static int nulls_of_changes(stockade_engine *engine)
{
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_put_results *results = NULL;
    REFUSED(stockade_engine_product_by_sku(engine, NULL, &product, NULL));
    REFUSED(stockade_engine_product_by_sku(NULL, "LAMP", &product, NULL));
    REFUSED(stockade_engine_product_by_sku(engine, "LAMP", NULL, NULL));
    REFUSED(stockade_engine_put_product(engine, NULL, &product, NULL, NULL));
    REFUSED(stockade_engine_change_product(engine, NULL, &product, NULL));
    REFUSED(stockade_engine_put_products(NULL, NULL, 0, &results, NULL));
    REFUSED(stockade_engine_put_products(engine, NULL, 0, NULL, NULL));
    REFUSED(stockade_engine_put_products(engine, NULL, 1, &results, NULL));
    REFUSED(stockade_put_results_get(NULL, 0, &product, NULL, NULL));
    CHECK(stockade_engine_put_products(engine, NULL, 0, &results, NULL) == STOCKADE_CODE_OK);
    CHECK(results != NULL && stockade_put_results_count(results) == 0);
    REFUSED(stockade_put_results_get(results, 0, &product, NULL, NULL));
    stockade_put_results_free(results);
    stockade_put_results_free(NULL);
    CHECK(stockade_put_results_count(NULL) == 0);
    CHECK(!stockade_error_product_id(NULL, NULL) && !stockade_error_off_sale(NULL, NULL, NULL));
    return 0;
}

/* Fields that contradict each other. */
static int wrong_new_products(stockade_engine *engine)
{
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_error *error = NULL;
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    request.name = "Lamp";
    request.price_minor = -1;
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    request.price_minor = 1;
    request.price = "1.00";
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, &error));
    CHECK(strstr(stockade_error_message(error), "price_minor") != NULL);
    stockade_error_free(error);
    request.price_minor = 0;
    request.id = 9;
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, &error));
    CHECK(strstr(stockade_error_message(error), "has_id") != NULL);
    stockade_error_free(error);
    request.has_id = 2;
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    request.has_id = 1;
    request.id = 0;
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    request.has_id = 0;
    const char *prices[] = {"", "-1", "1e2", "1,5", "\xff"};
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++) {
        request.price = prices[i];
        REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    }
    request.price = "1";
    for (size_t i = 0; i < NO_METADATA_COUNT; i++) {
        request.metadata = no_metadata[i];
        REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    }
    request.metadata = NULL;
    request.sku = "\xff";
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    request.sku = NULL;
    request.currency = "EURO";
    REFUSED(stockade_engine_create_product(engine, &request, &product, NULL, NULL));
    return 0;
}

static int wrong_changes(stockade_engine *engine, uint64_t product_id)
{
    stockade_product product = STOCKADE_INIT(stockade_product);
    stockade_stock_adjustment adjustment = STOCKADE_INIT(stockade_stock_adjustment);
    adjustment.product_id = product_id;
    adjustment.delta = 1;
    REFUSED(stockade_engine_adjust_stock(engine, &adjustment, &product, NULL, NULL));
    adjustment.reason = "delivery";
    adjustment.to = 1;
    REFUSED(stockade_engine_adjust_stock(engine, &adjustment, &product, NULL, NULL));
    adjustment.has_to = 1;
    REFUSED(stockade_engine_adjust_stock(engine, &adjustment, &product, NULL, NULL));
    adjustment.delta = 0;
    adjustment.sku = "LAMP";
    REFUSED(stockade_engine_adjust_stock(engine, &adjustment, &product, NULL, NULL));

    stockade_product_put put = STOCKADE_INIT(stockade_product_put);
    put.product_id = product_id;
    put.name = "Lamp";
    REFUSED(stockade_engine_put_product(engine, &put, &product, NULL, NULL));
    put.price = "1";
    put.stock = 1;
    REFUSED(stockade_engine_put_product(engine, &put, &product, NULL, NULL));
    put.has_stock = 2;
    REFUSED(stockade_engine_put_product(engine, &put, &product, NULL, NULL));
    put.has_stock = 1;
    put.product_sku = "LAMP";
    REFUSED(stockade_engine_put_product(engine, &put, &product, NULL, NULL));

    stockade_product_change change = STOCKADE_INIT(stockade_product_change);
    change.product_id = product_id;
    change.archived = 1;
    REFUSED(stockade_engine_change_product(engine, &change, &product, NULL));
    change.has_archived = 1;
    change.archived = 2;
    REFUSED(stockade_engine_change_product(engine, &change, &product, NULL));
    change.archived = change.has_archived = 0;
    change.on_sale_until_us = 1;
    REFUSED(stockade_engine_change_product(engine, &change, &product, NULL));
    change.on_sale_until_us = 0;
    change.safety_stock = 1;
    REFUSED(stockade_engine_change_product(engine, &change, &product, NULL));
    change.safety_stock = 0;
    change.metadata = "[]";
    REFUSED(stockade_engine_change_product(engine, &change, &product, NULL));
    CHECK(stockade_engine_product(engine, product_id, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(product.stock == UNITS && product.archived == 0 && product.safety_stock == 0);
    return 0;
}

static int pages(stockade_engine *engine)
{
    stockade_products *products = NULL;
    stockade_product product = STOCKADE_INIT(stockade_product);
    REFUSED(stockade_engine_products(engine, 0, 0, &products, NULL));
    CHECK(products == NULL);
    CHECK(stockade_engine_products(engine, 0, 1, &products, NULL) == STOCKADE_CODE_OK);
    CHECK(stockade_products_count(products) == 1 && stockade_products_next(products) == 0);
    CHECK(stockade_products_get(products, 0, &product, NULL) == STOCKADE_CODE_OK);
    CHECK(strcmp(product.name, "L\xc3\xa4mp") == 0 && product.price_minor == 1999);
    CHECK(strcmp(product.price, "19.99") == 0 && strcmp(product.currency, "EUR") == 0);
    CHECK(strcmp(product.sku, "") == 0 && strcmp(product.metadata, "") == 0);
    REFUSED(stockade_products_get(products, 1, &product, NULL));
    stockade_products_free(products);
    return 0;
}

/* A key creates a product once. */
static int keyed_product(void)
{
    stockade_engine *engine = NULL;
    CHECK(stockade_engine_open("sqlite::memory:", &engine, NULL) == STOCKADE_CODE_OK);
    stockade_new_product request = STOCKADE_INIT(stockade_new_product);
    request.name = "Rug";
    request.key = "import-7";
    stockade_product first = STOCKADE_INIT(stockade_product), again = first;
    bool replayed = true;
    CHECK(stockade_engine_create_product(engine, &request, &first, &replayed, NULL) == STOCKADE_CODE_OK);
    CHECK(!replayed);
    CHECK(stockade_engine_create_product(engine, &request, &again, &replayed, NULL) == STOCKADE_CODE_OK);
    CHECK(again.id == first.id && replayed);
    request.stock = 1;
    CHECK(stockade_engine_create_product(engine, &request, &again, NULL, NULL) ==
          STOCKADE_CODE_IDEMPOTENCY_MISMATCH);
    stockade_engine_free(engine);
    return 0;
}

int products_border(stockade_engine *engine, uint64_t product_id)
{
    CHECK(nulls(engine) == 0);
    CHECK(nulls_of_changes(engine) == 0);
    CHECK(wrong_new_products(engine) == 0);
    CHECK(wrong_changes(engine, product_id) == 0);
    CHECK(pages(engine) == 0);
    return keyed_product();
}
