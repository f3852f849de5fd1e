<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One line of a request for which there is not enough stock.
 */
final class ShortLine
{
    /**
     * @param int $productId the product
     * @param int $requested units asked for, summed over the request
     * @param int $available units that could have been held
     */
    public function __construct(
        public readonly int $productId,
        public readonly int $requested,
        public readonly int $available,
    ) {
    }
}
