<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * A missing or invalid credential.
 */
final class Unauthorized extends StockadeException
{
}
