<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * A secret is missing or wrong.
 */
final class Unauthorized extends StockadeException
{
}
