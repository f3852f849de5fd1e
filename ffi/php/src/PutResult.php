<?php

declare(strict_types=1);

namespace Stockade;

use Stockade\Exception\StockadeException;

/**
 * The result of one request of {@see Client::putProducts()}: the product, or the
 * exception that {@see Client::putProduct()} would have thrown.
 */
final class PutResult
{
    private function __construct(
        public readonly ?Product $product,
        /** Whether the product was made. */
        public readonly bool $created,
        public readonly ?StockadeException $error,
    ) {
    }

    public static function put(Product $product, bool $created): self
    {
        return new self($product, $created, null);
    }

    public static function refused(StockadeException $error): self
    {
        return new self(null, false, $error);
    }
}
