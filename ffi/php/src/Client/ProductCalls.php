<?php

declare(strict_types=1);

namespace Stockade\Client;

use DateTimeInterface;
use Stockade\Exception\StockadeException;
use Stockade\Product;
use Stockade\ProductPage;
use Stockade\PutOutcome;
use Stockade\PutProduct;
use Stockade\PutResult;

/**
 * Calls about products.
 *
 * A product is named by its id, or by "sku:" and its SKU. Moments are objects, or
 * texts such as "2026-11-27T08:00:00Z". Metadata is an array, or the text of a JSON
 * object, which is kept as it comes.
 */
interface ProductCalls
{
    /**
     * Reads a product, from the cache if the entry is fresh.
     *
     * @throws StockadeException invalid_argument, not_found, unavailable
     */
    public function product(int|string|float|bool $id): Product;

    /**
     * Reads up to $limit (1 to 1000) products with ids above $after; archived ones are among them.
     *
     * @throws StockadeException invalid_argument, unavailable
     */
    public function products(int|string|float|bool $after = 0, int|string|float|bool $limit = 100): ProductPage;

    /**
     * Creates a product; its price is an exact decimal such as "19.99".
     *
     * @param ?string $key the idempotency key: a repeated key returns the same product
     * @param int|string|float|bool|null $id the id, from 1 to 2^53 - 1; null for one that no product has
     * @param ?string $sku the shop's own id of the product, of 1 to 128 characters; no two products have the same
     * @param ?string $currency the currency of the price; null for the setting currency
     * @param array<string, mixed>|string|null $metadata what the shop keeps with it
     * @param DateTimeInterface|string|null $onSaleFrom when it begins to be sold; null for at once
     * @param DateTimeInterface|string|null $onSaleUntil when it ends to be sold; null for never
     * @param int|string|float|bool $safetyStock units in stock that holds do not take
     * @throws StockadeException invalid_argument, already_exists, idempotency_mismatch, contention,
     *     unavailable
     */
    public function createProduct(
        string $name,
        int|string|float|bool $price,
        int|string|float|bool $stock,
        ?string $key = null,
        int|string|float|bool|null $id = null,
        ?string $sku = null,
        ?string $currency = null,
        array|string|null $metadata = null,
        DateTimeInterface|string|null $onSaleFrom = null,
        DateTimeInterface|string|null $onSaleUntil = null,
        int|string|float|bool $safetyStock = 0,
    ): Product;

    /**
     * Makes a product, or replaces what it is. What is not given is reset to its
     * default, but for the units in stock. One that is archived stays so.
     *
     * @param int|string|float|bool $product the product, which is made with this id or this SKU if there is none
     * @param ?string $currency as in createProduct(), and what follows
     * @param ?string $sku null for the one that names the product, else none
     * @param array<string, mixed>|string|null $metadata
     * @param int|string|float|bool|null $stock the units in stock that it shall have, which an
     *     adjustment with the reason import sees to; null for those that it has
     * @param int|string|float|bool|null $version the version that the caller
     *     expects: another one, and no product, is rejected with VersionMismatch
     * @throws StockadeException invalid_argument, already_exists, version_mismatch, contention, unavailable
     */
    public function putProduct(
        int|string|float|bool $product,
        string $name,
        int|string|float|bool $price,
        ?string $currency = null,
        ?string $sku = null,
        array|string|null $metadata = null,
        DateTimeInterface|string|null $onSaleFrom = null,
        DateTimeInterface|string|null $onSaleUntil = null,
        int|string|float|bool $safetyStock = 0,
        int|string|float|bool|null $stock = null,
        int|string|float|bool|null $version = null,
    ): PutOutcome;

    /**
     * Makes or replaces many products by one call, each on its own, as an import does.
     * They are written many at a time, in no order: one that needs another's SKU goes
     * into a later call. An invalid request costs only itself.
     *
     * @param iterable<PutProduct> $requests at most 65,536
     * @return list<PutResult> one for each request, in the same order: a product, or an
     *     exception that is not thrown
     * @throws StockadeException invalid_argument, unavailable
     */
    public function putProducts(iterable $requests): array;

    /**
     * Changes what is named of a product, archives it or sells it again. All else stays,
     * and so does what was held or ordered before.
     *
     *     $client->changeProduct('sku:LAMP', ['price' => '17.50', 'onSaleUntil' => null]);
     *     $client->changeProduct($lamp->id, ['archived' => true]);
     *
     * @param array<string, mixed> $changes name, price, currency, sku, metadata, onSaleFrom,
     *     onSaleUntil, safetyStock and stock as in putProduct(), and archived; null clears
     *     sku, metadata, onSaleFrom and onSaleUntil
     * @param int|string|float|bool|null $version the version that the caller
     *     expects: another one is rejected with VersionMismatch
     * @throws StockadeException invalid_argument, not_found, already_exists, version_mismatch, contention,
     *     unavailable
     */
    public function changeProduct(
        int|string|float|bool $product,
        array $changes,
        int|string|float|bool|null $version = null,
    ): Product;

    /**
     * Adjusts stock: receives goods, or writes them off if $delta is negative; or sets
     * what a count found.
     *
     * @param int|string|float|bool|null $delta units; null with $to
     * @param ?string $key the idempotency key: a repeated key replays the first response
     * @param int|string|float|bool|null $version the version that the caller
     *     expects: another one is rejected with VersionMismatch
     * @param int|string|float|bool|null $to the units in stock that it shall have, instead of $delta
     * @throws StockadeException invalid_argument, not_found, insufficient_stock, version_mismatch,
     *     idempotency_mismatch, contention, unavailable
     */
    public function adjustStock(
        int|string|float|bool $productId,
        int|string|float|bool|null $delta,
        string $reason,
        ?string $key = null,
        int|string|float|bool|null $version = null,
        int|string|float|bool|null $to = null,
    ): Product;
}
