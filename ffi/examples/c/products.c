/* Products by the shop's own ids: an import, a change, a hold, and the orders of a
 * customer.
 *
 *   cc products.c -o products $(pkg-config --cflags --libs stockade) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <stockade.h>

static void check(stockade_code code, stockade_error *const *error)
{
    if (code == STOCKADE_CODE_OK)
        return;
    fprintf(stderr, "%s: %s\n", stockade_code_name(code), stockade_error_message(*error));
    stockade_error_free(*error);
    exit(1);
}

int main(void)
{
    stockade_error *error = NULL;
    stockade_engine *engine = NULL;
    check(stockade_engine_open("sqlite::memory:", &engine, &error), &error);

    /* An import may be repeated. One product that cannot be put costs only itself. */
    stockade_product_put puts[] = {
        {.struct_size = sizeof *puts, .product_sku = "LAMP-1", .name = "Lamp", .price = "19.99",
         .stock = 5, .has_stock = 1, .metadata = "{\"shelf\": 4}"},
        {.struct_size = sizeof *puts, .product_sku = "MUG-1", .name = "Mug", .price = "4.999"},
    };
    stockade_product lamp = STOCKADE_INIT(stockade_product);
    stockade_put_results *results = NULL;
    check(stockade_engine_put_products(engine, puts, 2, &results, &error), &error);
    for (size_t i = 0; i < stockade_put_results_count(results); i++) {
        bool created = false;
        if (stockade_put_results_get(results, i, &lamp, &created, &error) == STOCKADE_CODE_OK)
            printf("%s: %s\n", lamp.sku, created ? "made" : "changed");
        else
            printf("%s: %s\n", puts[i].product_sku, stockade_error_message(error));
        stockade_error_free(error);
    }
    stockade_put_results_free(results);

    stockade_hold_request wanted = STOCKADE_INIT(stockade_hold_request);
    wanted.sku = "LAMP-1";
    wanted.quantity = 2;
    wanted.customer = "ann";
    stockade_hold hold = STOCKADE_INIT(stockade_hold);
    check(stockade_engine_create_hold(engine, &wanted, &hold, NULL, &error), &error);
    stockade_order_request ordered = STOCKADE_INIT(stockade_order_request);
    ordered.hold_id = hold.id;
    ordered.sku = "LAMP-1";
    stockade_order order = STOCKADE_INIT(stockade_order);
    check(stockade_engine_create_order(engine, &ordered, &order, NULL, NULL, &error), &error);

    /* An archived product is held no more; its orders go on. */
    stockade_product_change change = STOCKADE_INIT(stockade_product_change);
    change.product_sku = "LAMP-1";
    change.has_archived = change.archived = 1;
    check(stockade_engine_change_product(engine, &change, &lamp, &error), &error);
    if (stockade_engine_create_hold(engine, &wanted, &hold, NULL, &error) != STOCKADE_CODE_OK) {
        stockade_off_sale why = STOCKADE_OFF_SALE_UNKNOWN;
        if (stockade_error_off_sale(error, &why, NULL) && why == STOCKADE_OFF_SALE_ARCHIVED)
            printf("%s is archived\n", lamp.sku);
        stockade_error_free(error);
    }

    stockade_order_query query = STOCKADE_INIT(stockade_order_query);
    query.limit = 100;
    query.customer = "ann";
    do {
        stockade_order_page *page = NULL;
        check(stockade_engine_orders(engine, &query, &page, &error), &error);
        for (size_t i = 0; i < stockade_order_page_count(page); i++) {
            check(stockade_order_page_get(page, i, &order, NULL, &error), &error);
            printf("order %" PRIu64 ": %s %s\n", order.id, order.amount, order.currency);
        }
        query.after = stockade_order_page_next(page);
        stockade_order_page_free(page);
    } while (query.after != 0);
    stockade_engine_free(engine);
    return 0;
}
