<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The product was changed since the caller read it; nothing changed now.
 */
final class VersionMismatch extends StockadeException
{
}
