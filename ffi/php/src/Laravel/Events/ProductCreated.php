<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A product was made. */
final class ProductCreated extends Message
{
}
