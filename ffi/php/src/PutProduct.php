<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeInterface;

/**
 * One request of {@see Client::putProducts()}, with the arguments of
 * {@see Client::putProduct()}. The call checks them.
 */
final class PutProduct
{
    /**
     * @param int|string|float|bool $product the product: its id, or "sku:" and its SKU
     * @param int|string|float|bool $price the exact unit price
     * @param ?string $currency the currency of the price; null for the setting currency
     * @param ?string $sku the SKU; null for the one that names the product, else none
     * @param array<string, mixed>|string|null $metadata what the shop keeps with it
     * @param DateTimeInterface|string|null $onSaleFrom when it begins to be sold
     * @param DateTimeInterface|string|null $onSaleUntil when it ends to be sold
     * @param int|string|float|bool $safetyStock units in stock that holds do not take
     * @param int|string|float|bool|null $stock the units in stock that it shall have; null for those that it has
     * @param int|string|float|bool|null $version the version that the caller expects; null for any
     */
    public function __construct(
        public readonly int|string|float|bool $product,
        public readonly string $name,
        public readonly int|string|float|bool $price,
        public readonly ?string $currency = null,
        public readonly ?string $sku = null,
        public readonly array|string|null $metadata = null,
        public readonly DateTimeInterface|string|null $onSaleFrom = null,
        public readonly DateTimeInterface|string|null $onSaleUntil = null,
        public readonly int|string|float|bool $safetyStock = 0,
        public readonly int|string|float|bool|null $stock = null,
        public readonly int|string|float|bool|null $version = null,
    ) {
    }
}
