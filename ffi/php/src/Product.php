<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * A product and its stock accounting: received = in stock + held + pending + sold + returned.
 */
final class Product
{
    /**
     * @param int $id the product's id
     * @param string $name the name
     * @param string $price the exact unit price, such as "19.99" or "200"
     * @param int $priceMinor the price in minor units of the currency
     * @param int $stock units that can be held: those in stock beyond the safety stock
     * @param int $held units in active holds
     * @param int $pending units in unpaid orders
     * @param int $sold units in paid orders, less those refunded
     * @param int $version incremented by every committed change of the product or its stock
     * @param int $returned units refunded and not for sale again
     * @param ?string $sku the shop's own id of the product
     * @param string $currency the currency of the price, such as "EUR"
     * @param int $inStock units in stock
     * @param int $safetyStock units in stock that holds do not take
     * @param ?DateTimeImmutable $onSaleFrom when it begins to be sold; UTC; null: it always was
     * @param ?DateTimeImmutable $onSaleUntil when it ends to be sold; UTC; null: never
     * @param bool $archived whether it is no longer sold
     * @param ?array<string, mixed> $metadata what the shop keeps with it
     * @param bool $replayed whether this replays the first response of the idempotency key
     */
    public function __construct(
        public readonly int $id,
        public readonly string $name,
        public readonly string $price,
        public readonly int $priceMinor,
        public readonly int $stock,
        public readonly int $held,
        public readonly int $pending,
        public readonly int $sold,
        public readonly int $version,
        public readonly int $returned,
        public readonly ?string $sku,
        public readonly string $currency,
        public readonly int $inStock,
        public readonly int $safetyStock,
        public readonly ?DateTimeImmutable $onSaleFrom,
        public readonly ?DateTimeImmutable $onSaleUntil,
        public readonly bool $archived,
        public readonly ?array $metadata,
        public readonly bool $replayed = false,
    ) {
    }
}
