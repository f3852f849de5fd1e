<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The hold is of another product; it was left as it is.
 */
final class ProductMismatch extends StockadeException
{
}
