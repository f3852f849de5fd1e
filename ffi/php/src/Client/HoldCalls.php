<?php

declare(strict_types=1);

namespace Stockade\Client;

use SensitiveParameter;
use Stockade\Cart;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\HoldRequest;
use Stockade\HoldResult;

/**
 * Calls about holds and carts.
 *
 * Metadata is an array, or the text of a JSON object, which is kept as it comes.
 */
interface HoldCalls
{
    /**
     * Holds units of one product for a limited time.
     *
     * @param int|string|float|bool $productId the product: its id, or "sku:" and its SKU
     * @param ?string $customer the customer, any identifier of
     *     1 to 255 bytes; under the setting max_per_customer
     *     the holds of one customer count together
     * @param bool $atMost whether to take what is left, at least one unit, where
     *     fewer than $quantity can be held; limits apply to $quantity
     * @param array<string, mixed>|string|null $metadata what the shop keeps with the hold
     * @throws StockadeException invalid_argument, quantity_limit, not_found, not_on_sale, insufficient_stock,
     *     idempotency_mismatch, contention, unavailable
     */
    public function createHold(
        int|string|float|bool $productId,
        int|string|float|bool $quantity,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        bool $atMost = false,
        array|string|null $metadata = null,
    ): Hold;

    /**
     * Holds several products atomically: all or none.
     *
     * @param iterable<array{0: int|string, 1: int|string, 2?: bool}> $lines product
     *     and quantity of each line, and true to take what is left as $atMost of
     *     createHold() does; lines of the same product are summed
     * @param ?string $customer as in createHold()
     * @param array<string, mixed>|string|null $metadata what the shop keeps with each of the holds
     * @throws StockadeException invalid_argument, quantity_limit, not_found, not_on_sale, insufficient_stock,
     *     idempotency_mismatch, contention, unavailable
     */
    public function createHolds(
        iterable $lines,
        int|float|string|bool|null $ttl = null,
        ?string $key = null,
        ?string $customer = null,
        array|string|null $metadata = null,
    ): Cart;

    /**
     * Creates many holds by one call, each on its own, and waits once for all
     * of them. An invalid request costs only itself.
     *
     * @param iterable<HoldRequest> $requests at most 65,536
     * @return list<HoldResult> one for each request, in the same order: a hold,
     *     or an exception that is not thrown
     * @throws StockadeException invalid_argument, unavailable
     */
    public function createHoldBatch(iterable $requests): array;

    /**
     * Reads the current state of a hold.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function hold(int|string|float|bool $id): Hold;

    /**
     * Releases a hold. One that is released or expired already is not changed.
     *
     * @param ?string $token the hold's token; an invalid one
     *     is rejected, and a missing one under the setting require_hold_token
     * @throws StockadeException not_found, unauthorized, hold_already_used, contention, unavailable
     */
    public function releaseHold(
        int|string|float|bool $holdId,
        #[SensitiveParameter] ?string $token = null,
    ): Hold;

    /**
     * Extends an active hold to $ttl seconds from now; never shortens it.
     *
     * @param ?string $token as in releaseHold()
     * @throws StockadeException invalid_argument, not_found, unauthorized, hold_expired, hold_already_used,
     *     contention, unavailable
     */
    public function extendHold(
        int|string|float|bool $holdId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold;

    /**
     * Gives an active hold another quantity; its end and token stay. More units
     * are taken from stock, or nothing changes; fewer return the others at once.
     *
     * @param ?string $token as in releaseHold()
     * @throws StockadeException invalid_argument, quantity_limit, not_found, unauthorized, not_on_sale,
     *     insufficient_stock, hold_expired, hold_already_used, idempotency_mismatch, contention, unavailable
     */
    public function changeQuantity(
        int|string|float|bool $holdId,
        int|string|float|bool $quantity,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
    ): Hold;

    /**
     * Reads the current state of a cart's holds.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function cart(int|string|float|bool $id): Cart;

    /**
     * Releases the active holds of a cart. The status of each says what became
     * of it.
     *
     * @param ?string $token the cart's token, as in releaseHold()
     * @throws StockadeException not_found, unauthorized, contention, unavailable
     */
    public function releaseCart(
        int|string|float|bool $cartId,
        #[SensitiveParameter] ?string $token = null,
    ): Cart;

    /**
     * Extends all holds of a cart, or none, to one common end; never shortens it.
     *
     * @param ?string $token as in releaseCart()
     * @throws StockadeException invalid_argument, not_found, unauthorized, hold_expired, hold_already_used,
     *     contention, unavailable
     */
    public function extendCart(
        int|string|float|bool $cartId,
        int|float|string|bool|null $ttl = null,
        #[SensitiveParameter] ?string $token = null,
    ): Cart;
}
