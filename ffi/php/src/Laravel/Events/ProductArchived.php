<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A product is no longer sold. */
final class ProductArchived extends Message
{
}
