<?php

declare(strict_types=1);

namespace Stockade\Client;

use SensitiveParameter;
use Stockade\Cart;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\Order;
use Stockade\PaymentReceipt;

/**
 * Calls about orders and payments.
 *
 * Amounts are exact decimals such as "19.99", or whole numbers. Metadata is an array, or
 * the text of a JSON object, which is kept as it comes.
 */
interface OrderCalls
{
    /**
     * Turns an active hold into an order.
     *
     * @param int|string|float|bool $productId the product that the caller expects: its id, or "sku:" and its SKU
     * @param ?string $token as in releaseHold()
     * @param int|string|float|bool|null $amount the amount to pay, with shipping and
     *     coupons for example; null for the sum of the lines
     * @param ?string $currency the currency that the products must have
     * @param ?string $reference the shop's own number of the order; no two orders have the same
     * @param int|float|string|bool|null $paymentTtl how many seconds it may stay unpaid
     * @param array<string, mixed>|string|null $metadata what the shop keeps with the order
     * @throws StockadeException invalid_argument, not_found, unauthorized, product_mismatch, hold_expired,
     *     hold_already_used, already_exists, idempotency_mismatch, contention, unavailable
     */
    public function createOrder(
        int|string|float|bool $holdId,
        int|string|float|bool $productId,
        ?string $key = null,
        #[SensitiveParameter] ?string $token = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $reference = null,
        int|float|string|bool|null $paymentTtl = null,
        array|string|null $metadata = null,
    ): Order;

    /**
     * Turns active holds into one order, all or none.
     *
     * @param Cart|iterable<Hold|int|string|array{0: int|string, 1: ?string}> $holds a cart,
     *     all of whose holds that were not released become the lines; or holds, their ids,
     *     or pairs of id and token, which become the lines in this order
     * @param int|string|float|bool|null $amount as in createOrder(), and what follows
     * @throws StockadeException invalid_argument, not_found, unauthorized, product_mismatch, hold_expired,
     *     hold_already_used, already_exists, idempotency_mismatch, contention, unavailable
     */
    public function createOrderOf(
        #[SensitiveParameter] Cart|iterable $holds,
        ?string $key = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $reference = null,
        int|float|string|bool|null $paymentTtl = null,
        array|string|null $metadata = null,
    ): Order;

    /**
     * Reads the current state of an order.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function order(int|string|float|bool $id): Order;

    /**
     * Finds the order with the shop's own number.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function orderByReference(string $reference): Order;

    /**
     * Finds the order to which a provider's name of a payment is tied.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function orderByPayment(string $provider, string $reference): Order;

    /**
     * Lets a pending order be paid until $ttl seconds from now; never shortens it.
     *
     * @throws StockadeException invalid_argument, not_found, already_paid, order_cancelled, contention,
     *     unavailable
     */
    public function extendOrder(
        int|string|float|bool $orderId,
        int|float|string|bool|null $ttl = null,
    ): Order;

    /**
     * Cancels a pending order for good and returns its units to stock. Money that comes
     * later must be refunded. One that is cancelled already is not changed.
     *
     * @throws StockadeException not_found, already_paid, contention, unavailable
     */
    public function cancelOrder(int|string|float|bool $orderId, ?string $reason = null): Order;

    /**
     * Refunds a paid order: money, units, or both. Without $lines and $amount: all that is
     * left of both.
     *
     * @param ?iterable<array{0: int|string, 1: int|string}> $lines number and quantity of
     *     each line: the units to give back, and their price unless there is an amount
     * @param int|string|float|bool|null $amount the money to give back; without lines it
     *     moves no unit
     * @param bool $restock whether the units are for sale again; otherwise they count as returned
     * @param bool $owed settles money that must be refunded (needs_refund), and nothing else
     * @throws StockadeException invalid_argument, not_found, not_paid, refund_too_large,
     *     idempotency_mismatch, contention, unavailable
     */
    public function refundOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        int|string|float|bool|null $amount = null,
        bool $restock = false,
        bool $owed = false,
        ?string $reason = null,
        ?string $key = null,
    ): Order;

    /**
     * Sells returned units of a refunded order again.
     *
     * @param ?iterable<array{0: int|string, 1: int|string}> $lines as in refundOrder();
     *     null for all units that are returned
     * @throws StockadeException invalid_argument, not_found, nothing_returned, idempotency_mismatch,
     *     contention, unavailable
     */
    public function restockOrder(
        int|string|float|bool $orderId,
        ?iterable $lines = null,
        ?string $key = null,
    ): Order;

    /**
     * Ties a provider's own name of a payment, such as "pi_3N", to an order.
     *
     * @throws StockadeException invalid_argument, not_found, already_exists, contention, unavailable
     */
    public function setPaymentReference(
        int|string|float|bool $orderId,
        string $provider,
        string $reference,
    ): Order;

    /**
     * Applies a payment provider's event to its order, once per key however often it is
     * delivered. The order is named by its id, its payment token, or both; else it is the
     * one to which $paymentReference is tied, otherwise the one with $orderReference. The
     * event waits for an order that is not known yet.
     *
     * @param string $status the provider's status: success, paid, failed, cancelled, disputed, …
     * @param ?string $key the event's idempotency key: one that is reused for another
     *     order, outcome or amount is rejected
     * @param int|string|float|bool|null $amount the amount paid: a success with another
     *     amount than the order's does not pay it
     * @param ?string $currency the currency of the amount; null for the order's
     * @param ?string $paymentReference the provider's own name of the payment: a success of
     *     another payment than the one that paid the order must be refunded
     * @param ?string $orderReference the shop's own number of the order
     * @throws StockadeException invalid_argument, idempotency_mismatch, contention, unavailable
     */
    public function recordPayment(
        string $status,
        int|string|float|bool|null $orderId = null,
        #[SensitiveParameter] ?string $paymentToken = null,
        ?string $key = null,
        int|string|float|bool|null $amount = null,
        ?string $currency = null,
        ?string $paymentReference = null,
        ?string $orderReference = null,
    ): PaymentReceipt;
}
