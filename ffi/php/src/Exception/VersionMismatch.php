<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The product has another version than the caller expected; nothing changed.
 */
final class VersionMismatch extends StockadeException
{
}
