<?php

declare(strict_types=1);

namespace Stockade\Client;

use DateTimeInterface;
use Stockade\Erased;
use Stockade\Exception\StockadeException;
use Stockade\HoldPage;
use Stockade\HoldStatus;
use Stockade\OrderPage;
use Stockade\OrderStatus;
use Stockade\PaymentDisposition;
use Stockade\WaitingPayment;
use Stockade\WaitingPaymentPage;

/**
 * Lists, waiting payments and the erasure of customers.
 *
 * A page may have fewer than the limit, or none, and not be the last: its $next says
 * so.
 */
interface ListCalls
{
    /**
     * Reads a page of holds as they stand now, by ascending id: those that meet all
     * conditions.
     *
     * @param ?string $customer only holds of this customer
     * @param int|string|float|bool|null $productId only holds of this product
     * @param HoldStatus|string|null $status one that is due counts as expired
     * @param DateTimeInterface|string|null $createdAfter only those created at this moment or after it
     * @param DateTimeInterface|string|null $createdBefore only those created before this moment
     * @param int|string|float|bool $after the $next of the page before
     * @param int|string|float|bool $limit the most of a page, from 1 to 1000
     * @throws StockadeException invalid_argument, unavailable
     */
    public function holds(
        ?string $customer = null,
        int|string|float|bool|null $productId = null,
        HoldStatus|string|null $status = null,
        DateTimeInterface|string|null $createdAfter = null,
        DateTimeInterface|string|null $createdBefore = null,
        int|string|float|bool $after = 0,
        int|string|float|bool $limit = 100,
    ): HoldPage;

    /**
     * Reads a page of orders as they stand now, by ascending id: those that meet all
     * conditions.
     *
     * @param ?string $customer only orders of this customer
     * @param int|string|float|bool|null $productId only orders with a line of this product
     * @param OrderStatus|string|null $status one that is due counts as cancelled
     * @param PaymentDisposition|string|null $disposition such as needs_refund
     * @param ?string $reference only the order with this number of the shop
     * @param ?string $paymentReference only the order to which this provider's name of a
     *     payment is tied, such as "stripe/pi_3N"
     * @param DateTimeInterface|string|null $createdAfter as in holds(), and what follows
     * @throws StockadeException invalid_argument, unavailable
     */
    public function orders(
        ?string $customer = null,
        int|string|float|bool|null $productId = null,
        OrderStatus|string|null $status = null,
        PaymentDisposition|string|null $disposition = null,
        ?string $reference = null,
        ?string $paymentReference = null,
        DateTimeInterface|string|null $createdAfter = null,
        DateTimeInterface|string|null $createdBefore = null,
        int|string|float|bool $after = 0,
        int|string|float|bool $limit = 100,
    ): OrderPage;

    /**
     * Reads up to $limit (1 to 1000) payment events that wait for their order, the oldest
     * first.
     *
     * @param ?string $after the $next of the page before
     * @throws StockadeException invalid_argument, unavailable
     */
    public function waitingPayments(
        ?string $after = null,
        int|string|float|bool $limit = 100,
    ): WaitingPaymentPage;

    /**
     * Takes the payment event with this idempotency key from those that wait for their
     * order, and returns it: it stays recorded, and is never applied.
     *
     * @throws StockadeException not_found, unavailable
     */
    public function removeWaitingPayment(string $key): WaitingPayment;

    /**
     * Replaces a customer's name wherever the store keeps it: in holds, orders, events and
     * the answers kept under idempotency keys. A later request by this name is of a new
     * customer. One that is not known is no error.
     *
     * @throws StockadeException invalid_argument, unavailable
     */
    public function eraseCustomer(string $customer): Erased;
}
