<?php

declare(strict_types=1);

namespace Stockade;

/**
 * What became of a product that was put.
 */
final class PutOutcome
{
    /**
     * @param Product $product the product after it
     * @param bool $created whether it was made
     */
    public function __construct(
        public readonly Product $product,
        public readonly bool $created,
    ) {
    }
}
